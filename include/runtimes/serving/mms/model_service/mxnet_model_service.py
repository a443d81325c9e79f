"""Base class of MXNet packages: four constructor arguments, a bare list of inputs, a manifest with the signature."""

from __future__ import absolute_import

import glob
import json
import os
import re

from model_service.model_service import SingleNodeService, lazy

# Used where the package has no signature.json; 0 stands for any batch size.
DEFAULT_INPUTS = [{"data_name": "data", "data_shape": [0, 3, 224, 224]}]
SYMBOL_SUFFIX = "-symbol.json"


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
        manifest = _manifest(model_path)
        prefix = manifest["Model"]["Model-Name"] or model_name
        return prefix, model_path, manifest, _first_gpu()

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
        import mxnet

        files = self.manifest["Model"]
        if not files["Symbol"] or not files["Parameters"]:
            raise RuntimeError("*-symbol.json and *-NNNN.params of the same prefix are needed in the model folder")
        prefix = os.path.join(self.model_dir, files["Symbol"][: -len(SYMBOL_SUFFIX)])
        symbol, arguments, auxiliary = mxnet.model.load_checkpoint(prefix, _epoch(files["Parameters"]))
        names = [entry["data_name"] for entry in self.signature["inputs"]]
        module = mxnet.mod.Module(symbol=symbol, context=self.ctx, data_names=names, label_names=None)
        shapes = [
            (entry["data_name"], tuple(size or 1 for size in entry["data_shape"])) for entry in self.signature["inputs"]
        ]
        module.bind(for_training=False, data_shapes=shapes)
        module.set_params(arguments, auxiliary, allow_missing=True, allow_extra=True)
        return module

    def _preprocess(self, data):
        import mxnet

        return [value if isinstance(value, mxnet.nd.NDArray) else mxnet.nd.array(value) for value in data]

    def _inference(self, data):
        import mxnet

        arrays = [value.as_in_context(self.ctx) for value in data]
        self.mx_model.forward(mxnet.io.DataBatch(data=arrays), is_train=False)
        return self.mx_model.get_outputs()

    def _postprocess(self, data):
        return [value.asnumpy().tolist() for value in data]


def _manifest(folder):
    """Return the manifest of a folder: its files, and the signature (``signature.json``, else one image input)."""
    symbols = [os.path.basename(path) for path in sorted(glob.glob(os.path.join(folder, "*" + SYMBOL_SUFFIX)))]
    symbol = symbols[0] if len(symbols) == 1 else None
    prefix = symbol[: -len(SYMBOL_SUFFIX)] if symbol else None
    parameters = []
    if prefix:
        pattern = re.compile(re.escape(prefix) + r"-\d{4}\.params$")
        parameters = sorted(name for name in os.listdir(folder) if pattern.match(name))
    signature = {"inputs": [dict(entry) for entry in DEFAULT_INPUTS]}
    path = os.path.join(folder, "signature.json")
    if os.path.isfile(path):
        with open(path, "rb") as stream:
            signature = json.loads(stream.read().decode("utf-8-sig"))
    model = {
        "Model-Name": prefix,
        "Service": "customize_service.py",
        "Symbol": symbol,
        # Several epochs: the last one is the trained model.
        "Parameters": parameters[-1] if parameters else None,
        "Signature": signature,
    }
    return {"Engine": {"MXNet": ""}, "Model": model}


def _epoch(parameters):
    return int(parameters[: -len(".params")][-4:])


def _first_gpu():
    """Return 0 where MXNet sees a GPU, else None."""
    try:
        import mxnet

        return 0 if mxnet.context.num_gpus() else None
    except Exception:
        # Not installed, or too old to say: the constructor's default.
        return None
