"""OpenCV's network: loaded from text and weights, asked for shapes, and run."""

import os
import re
import tempfile

import cv2
import numpy as np

_UNKNOWN_TYPE = re.compile(r'Can\'t create layer "(.*?)" of type "(.*?)"')
_NAME = "OpenCV " + cv2.__version__


class Engine(object):
    """One loaded network.

    Args:
        structure: The network.
        weights: Path of a caffemodel, empty for a network without weights. OpenCV reads the file by itself, because
            bytes that are handed over lie in memory three times.

    Raises:
        NotImplementedError: A layer's type is unknown to OpenCV.
        RuntimeError: OpenCV refuses the network for another reason.
    """

    def __init__(self, structure, weights):
        self._structure = structure
        self._writers = structure.writers()
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if threads.isdigit() and int(threads) > 0:
            # OpenCV has a thread pool of its own and does not know this variable.
            cv2.setNumThreads(int(threads))
        try:
            with tempfile.NamedTemporaryFile(suffix=".prototxt") as stream:
                stream.write(structure.text().encode("utf-8"))
                stream.flush()
                self._net = cv2.dnn.readNetFromCaffe(stream.name, weights)
        except cv2.error as error:
            raise _told(error)
        # Merged layers would leave the blobs between them without their values.
        self._net.enableFusion(False)
        if hasattr(self._net, "enableWinograd"):
            # Faster and less exact.
            self._net.enableWinograd(False)
        self._names = _names(structure)

    def shapes(self, inputs):
        """Return blob → shape.

        Args:
            inputs: Input blob → shape.

        Raises:
            NotImplementedError: A layer's type is unknown to OpenCV.
            RuntimeError: The network does not fit the shapes.
        """
        found = dict(inputs)
        if not self._writers:
            return found
        try:
            numbers, _, shapes = self._net.getLayersShapes([inputs[name] for name in self._structure.read_inputs])
        except cv2.error as error:
            raise _told(error)
        by_number = dict(zip((int(number) for number in np.ravel(numbers)), shapes))
        for name, (index, top) in self._writers.items():
            found[name] = tuple(int(dim) for dim in np.ravel(by_number[self._net.getLayerId(self._names[index])][top]))
        return found

    def run(self, inputs, last=None):
        """Return blob → values.

        Args:
            inputs: Input blob → values, float32.
            last: Number of the last layer to run, None for all.

        Raises:
            RuntimeError: OpenCV cannot run the network.
        """
        wanted = {name: place for name, place in self._writers.items() if last is None or place[0] <= last}
        if not wanted:
            return {}
        layers = sorted({index for index, _ in wanted.values()})
        try:
            for name in self._structure.read_inputs:
                self._net.setInput(np.ascontiguousarray(inputs[name]), name)
            results = self._net.forwardAndRetrieve([self._names[index] for index in layers])
        except cv2.error as error:
            raise _told(error)
        by_layer = dict(zip(layers, results))
        return {name: by_layer[index][top] for name, (index, top) in wanted.items()}


def _names(structure):
    """Return number of a layer → its name in OpenCV, which numbers layers that share a name."""
    seen, names = {}, {}
    for index, layer in enumerate(structure.layers):
        if layer.kind == "Input":
            continue
        count = seen.get(layer.name, 0)
        seen[layer.name] = count + 1
        names[index] = "%s_%d" % (layer.name, count) if count else layer.name
    return names


def _told(error):
    text = " ".join(str(error).split())
    unknown = _UNKNOWN_TYPE.search(text)
    if unknown:
        return NotImplementedError(
            "the stand-in for Caffe (%s) has no layer of type %r, which layer %r has"
            % (_NAME, unknown.group(2), unknown.group(1))
        )
    return RuntimeError("%s, which stands in for Caffe, cannot run the network: %s" % (_NAME, text))
