from mms.model_service.mxnet_model_service import MXNetBaseService


class Inputs(MXNetBaseService):
    def _preprocess(self, data):
        return data

    def _inference(self, data):
        return [self.signature["inputs"], data]

    def _postprocess(self, data):
        return data
