"""Base class of MXNet packages: four constructor arguments, a bare list of inputs, a manifest with the signature."""

from __future__ import absolute_import

import os

from mms.model_service.mxnet_manifest import SIGNATURE_FILE, SYMBOL_SUFFIX, epoch_of, read_manifest
from mms.utils.mxnet import image
from model_service.model_service import SingleNodeService, lazy


class MXNetBaseService(SingleNodeService):
    """``_preprocess`` receives a list of inputs in the order of ``self.signature["inputs"]``."""

    airlock_reads = "inputs"
    airlock_serves_alone = True
    airlock_arguments = ("model_name", "model_dir", "manifest", "gpu")

    def __new__(cls, *args, **kwargs):
        service = super(MXNetBaseService, cls).__new__(cls, *args, **kwargs)
        service.__dict__["model_path"] = service.__dict__.get("model_dir")
        return service

    def __init__(self, model_name, model_dir, manifest, gpu=None):
        self.model_name = model_name
        self.model_dir = self.model_path = model_dir
        self.manifest = manifest
        self.gpu = gpu

    @classmethod
    def airlock_values(cls, model_name, model_path):
        """Return name, folder, manifest and device; the name is the files' prefix, which packages count off."""
        manifest = read_manifest(model_path)
        prefix = manifest["Model"]["Model-Name"] or model_name
        return prefix, model_path, manifest, _first_gpu()

    @staticmethod
    def airlock_inputs(service, model_path):
        """Return the names of the inputs: of the service's own signature, else of the files'."""
        signature = _signature_of(service)
        if not isinstance(signature, dict) or "inputs" not in signature:
            signature = read_manifest(model_path)["Model"]["Signature"]
        return [entry["data_name"] for entry in signature["inputs"]]

    def airlock_prepare(self):
        """Bind the module at start."""
        return self.mx_model

    @lazy
    def _signature(self):
        return self.manifest["Model"]["Signature"]

    @lazy
    def signature(self):
        """The inputs: ``{"inputs": [{"data_name", "data_shape"}, ...], ...}``."""
        return self._signature

    @lazy
    def ctx(self):
        """The device that the module is bound to."""
        import mxnet

        gpu = self.__dict__.get("gpu")
        return mxnet.cpu() if gpu is None else mxnet.gpu(int(gpu))

    @lazy
    def mx_model(self):
        """The bound module, loaded when it is first read."""
        return self.airlock_module

    @lazy
    def airlock_module(self):
        """The module of the files that the manifest names."""
        import mxnet

        files = self.manifest["Model"]
        if not files["Symbol"] or not files["Parameters"]:
            raise RuntimeError("*-symbol.json and *-NNNN.params of the same prefix are needed in the model folder")
        prefix = os.path.join(self.model_dir, files["Symbol"][: -len(SYMBOL_SUFFIX)])
        symbol, arguments, auxiliary = mxnet.model.load_checkpoint(prefix, epoch_of(files["Parameters"]))
        inputs = _signature_of(self)["inputs"]
        names = [entry["data_name"] for entry in inputs]
        labels = _labels(symbol, names, arguments, auxiliary)
        module = mxnet.mod.Module(symbol=symbol, context=self.ctx, data_names=names, label_names=labels)
        shapes = [(entry["data_name"], tuple(size or 1 for size in entry["data_shape"])) for entry in inputs]
        try:
            module.bind(for_training=False, data_shapes=shapes)
            # What a network that was cut no longer uses may still lie in the file.
            module.set_params(arguments, auxiliary, allow_extra=True)
        except (ValueError, mxnet.base.MXNetError) as error:
            raise RuntimeError(
                "the network does not fit inputs of the shapes %s; give the right ones in model/%s: %s"
                % (shapes, SIGNATURE_FILE, str(error).split("\n")[0])
            )
        return module

    def _preprocess(self, data):
        return [_to_input(value, entry) for value, entry in zip(data, _signature_of(self)["inputs"])]

    def _inference(self, data):
        import mxnet

        arrays = [value.as_in_context(self.ctx) for value in data]
        module = self.mx_model
        if module is self.__dict__.get("airlock_module"):
            shapes = [(entry["data_name"], array.shape) for entry, array in zip(_signature_of(self)["inputs"], arrays)]
            if [tuple(bound[1]) for bound in module.data_shapes] != [shape for _, shape in shapes]:
                # forward() would do it, and fails for networks that still have their training's loss and so a label.
                module.bind(for_training=False, data_shapes=shapes, force_rebind=True)
        module.forward(mxnet.io.DataBatch(data=arrays), is_train=False)
        return module.get_outputs()

    def _postprocess(self, data):
        return [value.asnumpy().tolist() for value in data]


def _signature_of(service):
    """Return the signature; packages override it as a method, as other engines' base class has it, or an attribute."""
    return service.signature() if callable(service.signature) else service.signature


def _labels(symbol, names, arguments, auxiliary):
    """Return the network's labels, which only training feeds.

    Raises:
        RuntimeError: The signature names an input that the network lacks, or the network needs more than the files
            give: the module would take zeros for it.
    """
    known = symbol.list_arguments()
    missing = [name for name in known if name not in names and name not in arguments]
    labels = [name for name in missing if name.endswith("label")]
    missing = [name for name in missing if name not in labels]
    missing += [name for name in symbol.list_auxiliary_states() if name not in auxiliary]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RuntimeError("the network has no input %s, only %s" % (", ".join(unknown), ", ".join(missing) or "none"))
    if missing:
        raise RuntimeError(
            "the *.params file has no values for %s; if they are inputs, name them in model/%s"
            % (", ".join(missing), SIGNATURE_FILE)
        )
    return labels


def _to_input(value, entry):
    """Return one input of a request as an array of the signature's shape: numbers, or an uploaded image.

    Raises:
        TypeError: It has another shape, or is no image.
    """
    import mxnet
    import numpy

    shape = entry["data_shape"]
    if isinstance(value, bytes):
        return _to_image(value, entry["data_name"], shape)
    if not isinstance(value, mxnet.nd.NDArray):
        try:
            value = mxnet.nd.array(numpy.array(value, dtype="float32"))
        except ValueError:
            raise TypeError("input %s must hold numbers in rows of equal length" % entry["data_name"])
    if len(value.shape) != len(shape) or any(want and want != got for want, got in zip(shape, value.shape)):
        raise TypeError(
            "input %s must have the shape %s (0: any) of model/%s, not %s"
            % (entry["data_name"], shape, SIGNATURE_FILE, list(value.shape))
        )
    return value


def _to_image(encoded, name, shape):
    """Return an uploaded image as a batch of one: (n, channels, h, w), (n, h, w, channels) or (n, h, w), not scaled."""
    import mxnet

    if len(shape) == 4 and shape[1] in (1, 3):
        channels, height, width = shape[1:]
    elif len(shape) == 4 and shape[3] in (1, 3):
        height, width, channels = shape[1:]
    elif len(shape) == 3:
        channels, height, width = 1, shape[1], shape[2]
    else:
        raise TypeError("input %s of the shape %s takes numbers, not an image" % (name, shape))
    try:
        pixels = image.read(encoded, flag=0 if channels == 1 else 1)
        if height and width:
            pixels = image.resize(pixels, width, height)
    except Exception:  # MXNet 1.2 fails in several ways on what is no image
        raise TypeError("the upload %s is no image that can be decoded" % name)
    order = "NHWC" if len(shape) == 4 and shape[1] not in (1, 3) else "NCHW"
    batch = image.transform_shape(pixels, order).astype("float32")
    return batch.reshape((1,) + batch.shape[2:]) if len(shape) == 3 else batch


def _first_gpu():
    """Return 0 where MXNet sees a GPU, else None."""
    try:
        import mxnet

        return 0 if mxnet.context.num_gpus() else None
    except Exception:
        # Not installed, or too old to say: the constructor's default.
        return None
