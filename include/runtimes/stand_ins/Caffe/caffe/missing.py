"""What pycaffe has and the stand-in has not, with an error that says so when it is used."""


def refuse(what):
    """Raise the error for something that the stand-in cannot do."""
    raise NotImplementedError(
        "the stand-in for Caffe has no %s: it runs trained networks on the CPU, and is not Caffe" % what
    )


class _Missing(object):
    def __init__(self, *args, **kwargs):
        refuse(type(self).__name__)


class Layer(_Missing):
    """Base of Python layers."""


class NCCL(_Missing):
    """Training on several GPUs."""


class NetSpec(_Missing):
    """Writes network definitions."""


class SGDSolver(_Missing):
    """Stochastic gradient descent."""


class NesterovSolver(_Missing):
    """Accelerated gradient descent."""


class AdaGradSolver(_Missing):
    """Adaptive gradients."""


class RMSPropSolver(_Missing):
    """RMSProp."""


class AdaDeltaSolver(_Missing):
    """AdaDelta."""


class AdamSolver(_Missing):
    """Adam."""


def get_solver(*args, **kwargs):
    """Refuse: there is no training."""
    refuse("solver")
