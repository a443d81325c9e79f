"""Base class of Caffe packages: ``self.net`` is the network of the one prototxt and the one caffemodel.

Where the image has no Caffe, ``caffe`` is a stand-in over OpenCV; the code here is the same for both.
"""

from __future__ import absolute_import

import glob
import os

from model_service.model_service import SingleNodeService, lazy


class CaffeBaseService(SingleNodeService):
    """``_inference`` runs the network forward; arrays in ``data`` named like a blob are put into it first."""

    airlock_serves_alone = True

    def airlock_prepare(self):
        """Load the network at start."""
        return self.net

    @lazy
    def net(self):
        """The network in test mode, loaded when it is first read."""
        import caffe

        prototxt = self._only("*.prototxt", prefer="deploy")
        return caffe.Net(prototxt, self._only("*.caffemodel"), caffe.TEST)

    def _inference(self, data):
        if isinstance(data, dict):
            import numpy

            named = [name for name in data if name in self.net.blobs]
            if not named and type(self) is CaffeBaseService:
                # The network would answer for what an earlier request left in its inputs.
                raise KeyError("none of the inputs is given: %s" % ", ".join(self.net.inputs))
            for name in named:
                value = data[name]
                array = numpy.asarray(value, dtype="float32")
                self.net.blobs[name].reshape(*array.shape)
                self.net.blobs[name].data[...] = array
        return self.net.forward()

    def _only(self, pattern, prefer=None):
        found = sorted(glob.glob(os.path.join(self.model_path, pattern)))
        if prefer and len(found) > 1:
            # Training folders keep train_val.prototxt and solver.prototxt beside the one that can be deployed.
            found = [path for path in found if prefer in os.path.basename(path)] or found
        if len(found) != 1:
            names = ", ".join(os.path.basename(path) for path in found) or "none"
            raise RuntimeError("one %s is needed in the model folder, found: %s" % (pattern, names))
        return found[0]
