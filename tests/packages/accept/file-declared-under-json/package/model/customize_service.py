from model_service.pytorch_model_service import PTServingBaseService


class SumService(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.model_path = model_path

    def _preprocess(self, data):
        return [file_content.getbuffer() for files in data.values() for file_content in files.values()]

    def _inference(self, data):
        return sum(sum(bytearray(view)) for view in data)

    def _postprocess(self, data):
        return {"total": data}
