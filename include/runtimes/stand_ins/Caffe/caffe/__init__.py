"""A stand-in for pycaffe: OpenCV's dnn module runs the prototxt and the caffemodel behind pycaffe's names.

This is not Caffe. It offers what inference code uses of pycaffe 1.0: `Net`, `Classifier`, `Detector`, `io`, the modes
and the messages of mean files. There is no training, no solver, no Python layer and no GPU: `set_mode_gpu` and
`set_device` are accepted and change nothing. What it cannot do raises NotImplementedError with a sentence that names
it. Numbers differ from Caffe's in the last digits, as between two builds of Caffe.

Source: the documentation of pycaffe and of caffe.proto, Caffe 1.0; OpenCV 4, module dnn.
"""

import logging

import cv2

from caffe import io
from caffe.classifier import Classifier
from caffe.detector import Detector
from caffe.missing import (
    NCCL,
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    Layer,
    NesterovSolver,
    NetSpec,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST, TRAIN

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "get_solver",
    "has_nccl",
    "init_log",
    "io",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
]

#: The pycaffe whose names these are; packages compare it.
__version__ = "1.0.0"
#: What answers to them.
__stand_in__ = "OpenCV " + cv2.__version__ + ", module dnn"

_log = logging.getLogger("caffe")
_log.warning("This caffe is a stand-in: %s runs the network, on the CPU. It is not Caffe.", __stand_in__)


def set_mode_cpu():
    """Compute on the CPU, as always here."""


def set_mode_gpu():
    """Say that there is no GPU for it and go on: code calls this where it also runs without one."""
    _log.warning("caffe.set_mode_gpu changes nothing: the stand-in computes on the CPU.")


def set_device(number):
    """Do nothing: there is no device to choose."""


def set_random_seed(seed):
    """Do nothing: nothing here is random."""


def has_nccl():
    """Return False: there is no training on several GPUs."""
    return False


def init_log(level=0, stderr=True):
    """Do nothing: what the stand-in has to say goes through Python's logging."""


def log(text):
    """Write a line into the log, as pycaffe does through its own."""
    _log.info("%s", text)
