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
            return _SessionModel(tensorflow, self.model_path)
        if not tensorflow.executing_eagerly():
            # The package's code has switched to TensorFlow 1's way, and functions then compute nothing by themselves.
            return _SessionModel(tensorflow.compat.v1, self.model_path)
        return _FunctionModel(tensorflow, self.model_path)


class _SessionModel(object):
    """TensorFlow 1: a graph and a session of its own, so that the package's default graph stays untouched."""

    def __init__(self, tf, path):
        self._graph = tf.Graph()
        config = tf.ConfigProto()
        config.gpu_options.allow_growth = True
        self._session = tf.Session(graph=self._graph, config=config)
        with self._graph.as_default():
            meta = tf.saved_model.loader.load(self._session, [tf.saved_model.tag_constants.SERVING], path)
        signature = meta.signature_def[_signature_name(meta.signature_def)]
        tensors = {name: self._graph.as_graph_element(info.name) for name, info in signature.inputs.items()}
        self._inputs = {name: _Input(name, tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
        self._tensors = tensors
        self._outputs = {name: info.name for name, info in signature.outputs.items()}

    def __call__(self, data):
        values = _values(data, self._inputs)
        feed = {self._tensors[name]: value for name, value in values.items()}
        results = self._session.run(self._outputs, feed_dict=feed)
        return {name: value.tolist() for name, value in results.items()}


class _FunctionModel(object):
    """TensorFlow 2: the concrete function of the signature."""

    def __init__(self, tf, path):
        self._constant = tf.constant
        # Kept: the functions hold the variables only weakly.
        self._loaded = tf.saved_model.load(path)
        signatures = self._loaded.signatures
        self._function = signatures[_signature_name(signatures)]
        self._inputs = {name: _Input(name, spec.dtype, spec.shape) for name, spec in _specs(self._function).items()}

    def __call__(self, data):
        values = _values(data, self._inputs)
        feed = {
            name: value if hasattr(value, "numpy") else self._constant(value, dtype=self._inputs[name].dtype)
            for name, value in values.items()
        }
        return {name: value.numpy().tolist() for name, value in self._function(**feed).items()}


def _signature_name(names):
    """Return the only signature's name, else ``serving_default``."""
    names = sorted(name for name in names if not name.startswith("__saved_model"))
    if len(names) == 1:
        return names[0]
    if DEFAULT_SIGNATURE in names:
        return DEFAULT_SIGNATURE
    raise RuntimeError("the SavedModel has no signature %s, only: %s" % (DEFAULT_SIGNATURE, ", ".join(names) or "none"))


def _specs(function):
    """Return what a signature's function takes: name to a thing with ``dtype`` and ``shape``."""
    structured = function.structured_input_signature
    if structured:
        return structured[1]
    # TensorFlow 2.1 knows no structure of models that TensorFlow 1 saved: the first tensors are the inputs.
    names = function._arg_keywords
    return dict(zip(names, function.inputs[: len(names)]))


class _Input(object):
    """One input of a signature."""

    def __init__(self, name, dtype, shape):
        self.name = name
        self.dtype = dtype
        self._shape = shape

    def convert(self, value):
        """Return the value as an array of the input's type; what the caller's code made already stays as it is.

        Raises:
            TypeError: The request's value does not fit, which is the client's fault.
        """
        if hasattr(value, "numpy") or hasattr(value, "__array_interface__"):
            return value
        import numpy

        if isinstance(value, dict):
            # Uploaded files, in their order.
            value = [getattr(item, "getvalue", lambda: item)() for item in value.values()]
        try:
            array = numpy.asarray(value, dtype=self.dtype.as_numpy_dtype)
        except (TypeError, ValueError) as error:
            raise TypeError("the input %s takes %s: %s" % (self.name, self.dtype.name, error))
        if not self._shape.is_compatible_with(array.shape):
            raise TypeError("the input %s takes the shape %s, not %s" % (self.name, self._shape, array.shape))
        return array


def _values(data, inputs):
    """Return the signature's inputs out of a request.

    Raises:
        KeyError: One is missing.
        TypeError: The request is no object, or a value does not fit.
    """
    if not isinstance(data, dict):
        raise TypeError("the signature takes an object with %s" % ", ".join(sorted(inputs)))
    missing = sorted(name for name in inputs if name not in data)
    if missing:
        names = ", ".join(sorted(str(name) for name in data)) or "none"
        raise KeyError("the inputs %s of the signature are missing; the request has %s" % (", ".join(missing), names))
    return {name: one.convert(data[name]) for name, one in inputs.items()}
