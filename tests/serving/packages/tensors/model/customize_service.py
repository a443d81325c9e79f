import mms.utils.mxnet.image as image
from mms.model_service.mxnet_model_service import MXNetBaseService


class Tensors(MXNetBaseService):
    def __init__(self, model_name, model_dir, manifest, gpu=None):
        self.model_name = model_name
        self._signature = manifest["Model"]["Signature"]
        self.epoch = int(manifest["Model"]["Parameters"][len(model_name) + 1: -len(".params")])
        self.gpu = gpu

    def _preprocess(self, data):
        assert type(data) is list and callable(image.read)
        return data

    def _inference(self, data):
        shapes = [entry["data_shape"] for entry in self.signature["inputs"]]
        values = [item.read().decode("utf-8") if hasattr(item, "read") else item for item in data]
        return [self.model_name, self.epoch, self.gpu, shapes, values, [isinstance(item, bytes) for item in data]]

    def _postprocess(self, data):
        return data
