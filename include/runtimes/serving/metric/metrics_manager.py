"""``from metric.metrics_manager import MetricsManager``: accepted and harmless.

Code that overrides ``inference`` updates latency metrics here (``MetricsManager.metrics[name].update(ms)``, often
after ``if name in MetricsManager.metrics``). The figures that count are measured outside, so nothing is kept.
"""


class _Nothing(object):
    """Takes every call and every attribute, and gives itself back."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        return self


_NOTHING = _Nothing()


class _Metrics(dict):
    def __missing__(self, name):
        return _NOTHING


class _Tolerant(type):
    """Makes any class-level call work: ``MetricsManager.start(...)``, ``MetricsManager.add_metric(...)``."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _NOTHING


# A class statement cannot name a metaclass in a way that Python 2 and 3 both read; calling the metaclass works in both.
MetricsManager = _Tolerant("MetricsManager", (object,), {"metrics": _Metrics(), "__doc__": "Keeps nothing."})
