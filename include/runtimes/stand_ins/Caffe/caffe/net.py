"""`Net`: pycaffe's network.

Source: documentation of pycaffe, Caffe 1.0.
"""

import tempfile
from collections import OrderedDict

import numpy as np

from caffe.blob import Blob
from caffe.engine import Engine
from caffe.missing import refuse
from caffe.prototxt import Message
from caffe.structure import Structure
from caffe.weights import check_file, read_weights, settled, write_weights


class _Layer(object):
    """A layer as `Net.layers` shows it: its type and its weights."""

    def __init__(self, kind, blobs):
        self.type = kind
        self.blobs = blobs


class Net(object):
    """A network: `Net(prototxt, phase, level=0, stages=None, weights=None)` or `Net(prototxt, weights, phase)`.

    Without weights it has its inputs, and computes once `copy_from` has brought them. The blobs that Caffe puts between
    a blob and its several readers (`…_split_0`) do not exist here.

    Raises:
        RuntimeError: A file cannot be opened, or the network and the weights do not go together.
        ValueError: A file is not what it should be.
        NotImplementedError: The network needs what the stand-in has not.
    """

    def __init__(self, network_file, *args, **kwargs):
        if args and isinstance(args[0], str):
            self._start(network_file, *_legacy(*args, **kwargs))
        else:
            self._start(network_file, *_named(*args, **kwargs))

    def _start(self, network_file, phase, level, stages, weights):
        check_file(network_file)
        if weights is not None:
            check_file(weights)
        self._structure = Structure(network_file, phase, level, stages)
        self._engine = None
        self._file = None
        self._shaped_for = None
        self.inputs = list(self._structure.inputs)
        self.outputs = list(self._structure.outputs)
        self.blobs = OrderedDict((name, Blob(self._structure.inputs.get(name))) for name in self._structure.blobs)
        self.params = OrderedDict()
        if weights is not None:
            self.copy_from(weights)
        elif not any(layer.needs_weights for layer in self._structure.layers):
            self._load()

    # ── structure ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _layer_names(self):
        return [layer.name for layer in self._structure.layers]

    @property
    def layers(self):
        """The layers, each with `type` and `blobs`."""
        return [_Layer(layer.kind, self.params.get(layer.name, [])) for layer in self._structure.layers]

    @property
    def layer_dict(self):
        """Name → layer."""
        return OrderedDict(zip(self._layer_names, self.layers))

    @property
    def top_names(self):
        """Layer → names of the blobs that it writes."""
        return OrderedDict((layer.name, list(layer.tops)) for layer in self._structure.layers)

    @property
    def bottom_names(self):
        """Layer → names of the blobs that it reads."""
        return OrderedDict((layer.name, list(layer.bottoms)) for layer in self._structure.layers)

    # ── weights ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def copy_from(self, weights):
        """Take the weights of the layers that have the same names.

        Args:
            weights: Path of a caffemodel.
        """
        found = read_weights(weights)
        # OpenCV may read the file itself where it is the only one and has the numbers that OpenCV reads.
        plain = all(blob.data.dtype == np.float32 for blobs in found.values() for blob in blobs)
        self._file = weights if plain and not self.params else None
        for layer in self._structure.layers:
            if layer.name in found:
                arrays = [settled(blob, layer.kind, index) for index, blob in enumerate(found[layer.name])]
                self.params[layer.name] = [Blob(array.shape, array) for array in arrays]
        missing = [
            layer.name for layer in self._structure.layers if layer.needs_weights and layer.name not in self.params
        ]
        if missing:
            raise RuntimeError(
                "%s has no weights for %s; Caffe would fill them by the definition's fillers, the stand-in cannot"
                % (weights, ", ".join(missing))
            )
        ordered = [layer.name for layer in self._structure.layers if layer.name in self.params]
        self.params = OrderedDict((name, self.params[name]) for name in ordered)
        self._load()

    def _load(self):
        if not self.params:
            self._engine = Engine(self._structure, "")
        elif self._file is not None:
            self._engine = Engine(self._structure, self._file)
        else:
            kinds = {layer.name: layer.kind for layer in self._structure.layers}
            with tempfile.NamedTemporaryFile(suffix=".caffemodel") as stream:
                values = ((name, kinds[name], [blob.values() for blob in blobs]) for name, blobs in self.params.items())
                write_weights(stream, values)
                stream.flush()
                self._engine = Engine(self._structure, stream.name)
        for blobs in self.params.values():
            for blob in blobs:
                blob.settle()
        self.reshape()

    def _ready(self):
        """The engine with the weights as they are now: code may have written into `params`."""
        if self._engine is None:
            raise RuntimeError("the network has no weights yet: call copy_from first")
        if any(blob.changed() for blobs in self.params.values() for blob in blobs):
            self._file = None
            self._load()
        elif self._shaped_for != self._input_shapes():
            self.reshape()
        return self._engine

    def _input_shapes(self):
        return {name: self.blobs[name].shape for name in self.inputs}

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def reshape(self):
        """Give every blob the shape that follows from the inputs' shapes."""
        if self._engine is None:
            raise RuntimeError("the network has no weights yet: call copy_from first")
        inputs = self._input_shapes()
        shapes = self._engine.shapes(inputs)
        for layer in self._structure.layers:
            if layer.kind == "InnerProduct":
                self._fits(layer, shapes[layer.bottoms[0]])
        for name, shape in shapes.items():
            self.blobs[name].reshape(*shape)
        self._shaped_for = inputs

    def _fits(self, layer, shape):
        """Say what OpenCV says only when it runs, and in its own words."""
        options = (layer.message.messages("inner_product_param") or [Message()])[-1]
        axis = int(options.word("axis", "1"))
        weights = self.params[layer.name][0].shape
        wanted = weights[0] if options.word("transpose") == "true" else weights[-1]
        given = int(np.prod(shape[axis:]))
        if given != wanted:
            raise RuntimeError(
                "layer %r has weights for %d values and gets %d: a blob of shape %s"
                % (layer.name, wanted, given, shape)
            )

    def forward(self, blobs=None, start=None, end=None, **kwargs):
        """Run the network.

        Args:
            blobs: Names of blobs to return beside the outputs.
            start: Name of the layer to begin with; only the first one is possible.
            end: Name of the last layer to run; its tops are returned instead of the outputs.
            **kwargs: Values of the inputs by their names: all of them or none.

        Returns:
            Blob → its array. The arrays are the network's own: the next run writes into them.
        """
        names = self._layer_names
        if start is not None and any(layer.kind != "Input" for layer in self._structure.layers[: names.index(start)]):
            refuse("forward from a layer in the middle (start=%r)" % start)
        last = None if end is None else names.index(end)
        outputs = set(self.outputs if end is None else self._structure.layers[last].tops) | set(blobs or [])
        if kwargs:
            if set(kwargs) != set(self.inputs):
                raise Exception("Input blob arguments do not match net inputs.")
            for name, values in kwargs.items():
                if values.shape[0] != self.blobs[name].shape[0]:
                    raise Exception("Input is not batch sized")
                self.blobs[name].data[...] = values
        results = self._ready().run({name: self.blobs[name].data for name in self.inputs}, last)
        for name, values in results.items():
            self.blobs[name].put(values)
        return {name: self.blobs[name].data for name in outputs}

    def forward_all(self, blobs=None, **kwargs):
        """Run the network on more rows than one batch has.

        Args:
            blobs: Names of blobs to return beside the outputs.
            **kwargs: Values of the inputs by their names, any number of rows.

        Returns:
            Blob → array of as many rows.
        """
        count = len(next(iter(kwargs.values())))
        collected = {}
        for batch in self._batch(kwargs):
            for name, values in self.forward(blobs=blobs, **batch).items():
                collected.setdefault(name, []).append(values.copy())
        return {name: np.concatenate(parts)[:count] for name, parts in collected.items()}

    def _batch(self, values):
        """Yield the values in batches; the last is filled up with zeros."""
        count = len(next(iter(values.values())))
        size = next(iter(self.blobs.values())).shape[0]
        for place in range(0, count, size):
            batch = {name: rows[place : place + size] for name, rows in values.items()}
            lacking = size - min(size, count - place)
            if lacking:
                batch = {
                    name: np.concatenate([rows, np.zeros((lacking, *np.shape(rows)[1:]))])
                    for name, rows in batch.items()
                }
            yield batch

    # ── what needs Caffe ─────────────────────────────────────────────────────────────────────────────────────────────

    def backward(self, *args, **kwargs):
        """Refuse: there is no training."""
        refuse("backward")

    def forward_backward_all(self, *args, **kwargs):
        """Refuse: there is no training."""
        refuse("forward_backward_all")

    def clear_param_diffs(self):
        """Do nothing: there are no gradients."""

    def save(self, path):
        """Refuse."""
        refuse("save")

    def save_hdf5(self, path):
        """Refuse."""
        refuse("save_hdf5")

    def load_hdf5(self, path):
        """Refuse."""
        refuse("load_hdf5")

    def share_with(self, net):
        """Refuse."""
        refuse("share_with")

    def set_input_arrays(self, *args, **kwargs):
        """Refuse: it is for layers of type MemoryData."""
        refuse("set_input_arrays")


def _named(phase=None, level=0, stages=None, weights=None):
    if phase is None:
        raise TypeError("Net needs a phase: caffe.TEST")
    return int(phase), level, tuple(stages or ()), weights


def _legacy(weights, phase):
    return int(phase), 0, (), weights
