"""``SingleNodeService``: what every service has.

Most packages' constructors never call the base constructor, and one skips it by naming the wrong class in ``super``.
So nothing lives in ``__init__`` alone: ``__new__`` puts the arguments on the instance before any constructor runs,
and what is costly (a network, a session) is made when it is first read.

Names with the prefix ``airlock_`` are the server's; no package uses it.
"""

from __future__ import absolute_import

import os


class lazy(object):
    """An attribute computed at first reading and then kept on the instance.

    It has no ``__set__``: code may assign the same name in its own constructor, which ``property`` would forbid.
    """

    def __init__(self, make):
        self._make = make
        self.__doc__ = make.__doc__
        self.__name__ = make.__name__

    def __get__(self, instance, owner):
        if instance is None:
            return self
        value = instance.__dict__[self.__name__] = self._make(instance)
        return value


class SingleNodeService(object):
    """Base of all services, and MindSpore's own: construct with a name and a path, then call ``inference(data)``."""

    # How a request becomes `data`: "document" (parsed JSON, or a dict of fields), "text" (the raw JSON),
    # "inputs" (a bare list in the order of the signature). The engine's base says it, whatever base the class has.
    airlock_reads = "document"
    # Whether the base class serves a package that brings no customize_service.py.
    airlock_serves_alone = False
    # The constructor's arguments, by position.
    airlock_arguments = ("model_name", "model_path")

    def __new__(cls, *args, **kwargs):
        service = super(SingleNodeService, cls).__new__(cls)
        # Straight into __dict__: a mixed-in class such as torch.nn.Module refuses attributes before its constructor.
        service.__dict__["model_name"] = os.environ.get("AIRLOCK_MODEL_NAME", "model")
        service.__dict__.update(zip(cls.airlock_arguments, args))
        service.__dict__.update(kwargs)
        return service

    def __init__(self, model_name, model_path):
        self.model_name = model_name
        self.model_path = model_path

    @classmethod
    def airlock_values(cls, model_name, model_path):
        """Return the constructor's arguments, in order, for a package whose model lies at ``model_path``."""
        values = {"model_name": model_name, "model_path": model_path}
        return tuple(values[name] for name in cls.airlock_arguments)

    def airlock_start(self):
        """Start what the engine itself needs; called after the constructor, the package's own too."""

    def airlock_prepare(self):
        """Load what the default service needs; called only when the base class serves alone, at start."""

    def inference(self, data):
        """Answer one request: ``_preprocess``, ``_inference``, ``_postprocess``."""
        return self._postprocess(self._inference(self._preprocess(data)))

    def _preprocess(self, data):
        return data

    def _inference(self, data):
        raise NotImplementedError("%s loads no model by itself: define _inference" % type(self).__name__)

    def _postprocess(self, data):
        return data

    def ping(self):
        """Return nothing: the service is there."""
        return None

    def signature(self):
        """Return nothing: this engine has no signature."""
        return None

    def health(self):
        """Return the body and the status of ``GET /health``."""
        return {"status": "OK"}, 200
