# -*- coding: utf-8 -*-
import cPickle
import os
import sys

from model_service.tfserving_model_service import TfServingBaseService


class Service(TfServingBaseService):
    """分类"""

    def __init__(self, model_name, model_path):
        self.model_name = model_name
        self.model_path = model_path
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "labels.pkl")
        try:
            self.labels = cPickle.load(open(path, "rb"))
        except (IOError, ValueError), error:
            print >>sys.stderr, "labels:", error
            raise
        print "loaded", len(self.labels), u"标签".encode("utf-8")

    def _inference(self, data):
        if not isinstance(data["x"], (int, long)) or data["x"] <> int(data["x"]):
            raise ValueError, "a whole number is needed"
        return {"y": [i * i for i in xrange(data["x"])], "labels": self.labels}
