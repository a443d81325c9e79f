# -*- coding: utf-8 -*-
"""Answers what it is asked: one package for most lines of the contract."""
import io
import json
import os
import sys
import threading
import time

import greeting
import log
import model_service.log as service_log
import plain
from metric.metrics_manager import MetricsManager
from mms.log import get_logger
from mms.model_service.mxnet_model_service import MXNetBaseService
from mms.utils.mxnet import image, ndarray
from model.core import deep
from model_service import log as package_log
from model_service.caffe_model_service import CaffeBaseService
from model_service.catboost_model_service import CatBoostServingBaseService
from model_service.lightgbm_model_service import LightGbmServingBaseService
from model_service.model_service import SingleNodeService
from model_service.onnx_model_service import OnnxServingBaseService
from model_service.python_model_service import XgSklServingBaseService
from model_service.pytorch_model_service import PTServingBaseService
from model_service.spark_model_service import SparkServingBaseService
from model_service.tfserving_model_service import TfServingBaseService
from model_service.transformers_model_service import TransformersServingBaseService

from .common import NAME as COMMON

logger = log.getLogger(__name__)
ARGUMENTS = list(sys.argv)


class Array(object):
    """Stands for a NumPy array, scalar or tensor."""

    def __init__(self, value):
        self.value = value

    def tolist(self):
        return self.value

    def __hash__(self):
        return hash(self.value)


class Everything(PTServingBaseService):
    def __init__(self, model_name, model_path):
        # No call of the base constructor: most packages have none.
        self.started_on = threading.current_thread().ident
        self.arguments_at_start = list(sys.argv)
        self.calls = 0
        self.given = (model_name, model_path)
        logger.info("constructed")
        get_logger("mms").info("from mms")
        service_log.getLogger("a").warning("from the submodule")
        package_log.getLogger("b").warning("from the package")

    def _preprocess(self, data):
        self.calls += 1
        if isinstance(data, dict) and data.get("fail") == "preprocess":
            return data["images"]
        return data

    def _inference(self, data):
        if isinstance(data, dict) and "do" in data:
            return getattr(self, "do_" + data["do"])(data)
        if isinstance(data, dict) and data.get("fail") == "inference":
            raise ValueError(u"不能".encode("utf-8") if sys.version_info[0] == 2 else u"不能")
        return describe(data)

    def _postprocess(self, data):
        if isinstance(data, dict) and data.get("fail") == "postprocess":
            return 1 + "x"
        return data

    def do_facts(self, data):
        return {
            "given": self.given,
            "name": self.model_name,
            "path": self.model_path,
            "cwd": os.getcwd(),
            "file": __file__,
            "argv": [ARGUMENTS, self.arguments_at_start],
            "sys_path": sys.path,
            "same_thread": self.started_on == threading.current_thread().ident,
            "imports": [plain.NAME, COMMON, deep.NAME, greeting.TEXT, sys.modules["customize_service"].__name__],
            "bases": len({MXNetBaseService, CaffeBaseService, SparkServingBaseService, TfServingBaseService,
                          XgSklServingBaseService, SingleNodeService, OnnxServingBaseService, LightGbmServingBaseService,
                          CatBoostServingBaseService, TransformersServingBaseService, image, ndarray}),
            "listing": sorted(os.listdir(os.path.dirname(__file__))),
            "metrics": [self.model_name + "_LatencyPreprocess" in MetricsManager.metrics,
                        MetricsManager.metrics["x"].update(3) is None, MetricsManager.start("a", b=1) is None],
            "init": os.path.exists(os.path.join(os.path.dirname(__file__), "__init__.py")),
        }

    def do_numbers(self, data):
        return {"array": Array([[1, 2.5], [3, 4]]), "scalar": Array(7), Array(3): b"text", u"\u952e": {2 ** 70: 1}, "tuple": (1, None, True)}

    def do_nan(self, data):
        return [float("nan"), float("inf")]

    def do_bytes(self, data):
        return b"\xff\xfe"

    def do_object(self, data):
        return {"x": object()}

    def do_half_character(self, data):
        return u"\ud800" if sys.version_info[0] == 3 else u"\ud800"

    def do_mixed(self, data):
        return [u"中文", u"中文".encode("utf-8")]

    def do_exit(self, data):
        sys.exit(5)

    def do_write(self, data):
        with open(os.path.join(os.path.dirname(__file__), "uploaded"), "w") as stream:
            stream.write("x")
        with open("uploaded", "w") as stream:
            stream.write("y")
        with open(__file__, "a") as stream:
            stream.write("# changed\n")
        return os.path.islink(self.model_path)

    def do_print(self, data):
        print(u"印".encode("utf-8") if sys.version_info[0] == 2 else u"印")
        return None

    def do_sleep(self, data):
        before = self.calls
        time.sleep(data["seconds"])
        return [before, self.calls]

    def do_repeat(self, data):
        return "y" * data["times"]

    def do_fork(self, data):
        child = os.fork()
        if not child:
            if data["ends"] == "exit":
                sys.exit(7)
            if data["ends"] == "return":
                return "child"
            raise ValueError("child")
        return os.WEXITSTATUS(os.waitpid(child, 0)[1])

    def do_pid(self, data):
        time.sleep(0.05)
        return os.getpid()


def describe(data):
    if not isinstance(data, dict):
        return data
    answer = []
    for field, value in data.items():
        if isinstance(value, dict):
            value = [[name, type(item) is io.BytesIO, item.getvalue().decode("utf-8"), item.tell()]
                     for name, item in value.items()]
        answer.append([field, value])
    return answer
