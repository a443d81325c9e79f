"""Loads the SavedModel by itself: in a thread, from a path written out, with a session of its own."""

import os
import threading

import tensorflow as tf
from model_service.tfserving_model_service import TfServingBaseService

if not tf.__version__.startswith("1."):
    tf = tf.compat.v1

MODEL = "/home/mind/model/1"


class Service(TfServingBaseService):
    def __init__(self, model_name, model_path):
        # The same files under the three names that packages use.
        for folder in (MODEL, "/home/mind/model", "model/1", model_path):
            if not os.path.isfile(os.path.join(folder, "variables", "variables.index")):
                raise RuntimeError(folder)
        self.session = None
        threading.Thread(target=self.load).start()

    def load(self):
        session = tf.Session(graph=tf.Graph())
        meta = tf.saved_model.loader.load(session, ["serve"], MODEL)
        signature = meta.signature_def["serving_default"]
        self.question = signature.inputs["flowers"].name
        self.answers = {name: signature.outputs[name].name for name in ("probabilities", "species")}
        self.session = session

    def _inference(self, data):
        return self.session.run(self.answers, {self.question: data["flowers"]})
