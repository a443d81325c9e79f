from model_service.pytorch_model_service import PTServingBaseService

LABELS = [line.strip() for line in open("/home/mind/model/labels.txt")]


class Service(PTServingBaseService):
    def __init__(self, model_name, model_path):
        self.same = model_path == "/home/mind/model/net.pth"

    def _inference(self, data):
        return {"label": LABELS[int(data["x"])], "same": self.same}
