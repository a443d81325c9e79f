"""Base class of TensorFlow packages: a SavedModel, fed through its signature. TensorFlow 1 and 2."""

from __future__ import absolute_import

from model_service.model_service import SingleNodeService, lazy

DEFAULT_SIGNATURE = "serving_default"


class TfServingBaseService(SingleNodeService):
    """``_inference`` takes ``{input name: values}`` and gives ``{output name: nested lists}``."""

    airlock_serves_alone = True

    def airlock_prepare(self):
        """Load the SavedModel at start."""
        return self.airlock_saved_model

    def _inference(self, data):
        return self.airlock_saved_model(data)

    @lazy
    def airlock_saved_model(self):
        """The SavedModel in ``self.model_path`` as a function, loaded when it is first read."""
        import tensorflow

        if int(tensorflow.__version__.split(".")[0]) < 2:
            return _SessionModel(self.model_path)
        return _FunctionModel(self.model_path)


def _signature_name(names):
    """Return the only signature's name, else ``serving_default``."""
    names = sorted(name for name in names if not name.startswith("__saved_model"))
    if len(names) == 1:
        return names[0]
    if DEFAULT_SIGNATURE in names:
        return DEFAULT_SIGNATURE
    raise RuntimeError("the SavedModel has no signature %s, only: %s" % (DEFAULT_SIGNATURE, ", ".join(names) or "none"))


def _check_inputs(data, names):
    missing = sorted(name for name in names if name not in data)
    if missing:
        raise KeyError("the signature's inputs %s are missing; the request has %s" % (missing, sorted(data)))


class _SessionModel(object):
    """TensorFlow 1: a graph and a session of its own, so that the package's default graph stays untouched."""

    def __init__(self, path):
        import tensorflow as tf

        self._graph = tf.Graph()
        config = tf.ConfigProto()
        config.gpu_options.allow_growth = True
        self._session = tf.Session(graph=self._graph, config=config)
        with self._graph.as_default():
            meta = tf.saved_model.loader.load(self._session, [tf.saved_model.tag_constants.SERVING], path)
        signature = meta.signature_def[_signature_name(meta.signature_def)]
        self._inputs = {name: info.name for name, info in signature.inputs.items()}
        self._outputs = {name: info.name for name, info in signature.outputs.items()}

    def __call__(self, data):
        _check_inputs(data, self._inputs)
        feed = {tensor: data[name] for name, tensor in self._inputs.items()}
        results = self._session.run(self._outputs, feed_dict=feed)
        return {name: value.tolist() for name, value in results.items()}


class _FunctionModel(object):
    """TensorFlow 2: the concrete function of the signature."""

    def __init__(self, path):
        import tensorflow as tf

        self._constant = tf.constant
        # Kept: the functions hold the variables only weakly.
        self._loaded = tf.saved_model.load(path)
        signatures = self._loaded.signatures
        self._function = signatures[_signature_name(signatures)]
        self._inputs = self._function.structured_input_signature[1]

    def __call__(self, data):
        _check_inputs(data, self._inputs)
        feed = {}
        for name, spec in self._inputs.items():
            value = data[name]
            feed[name] = value if hasattr(value, "numpy") else self._constant(value, dtype=spec.dtype)
        return {name: value.numpy().tolist() for name, value in self._function(**feed).items()}
