import json
from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
	def __init__(self, model_path):
		self.model_path = model_path

	def _preprocess(self, data):
		return json.loads(data)["data"]["req_data"]

	def _inference(self, data):
		return [len(row) for row in data]

	def _postprocess(self, data):
		return data
