"""A network's structure: which layers a phase has, its inputs and outputs, and its text for OpenCV.

Source: caffe.proto, Caffe 1.0: NetParameter, LayerParameter, NetStateRule.
"""

from collections import OrderedDict

from caffe.prototxt import Message, quoted, read_prototxt

# Old type names that are not the new ones in capitals and with underscores.
_V1_TYPES = {
    "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DATA": "Data",
    "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData", "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss", "EXP": "Exp", "FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col", "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN", "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power",
    "RELU": "ReLU", "SIGMOID": "Sigmoid", "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence", "SLICE": "Slice", "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split", "TANH": "TanH", "THRESHOLD": "Threshold", "WINDOW_DATA": "WindowData",
}  # fmt: skip
_READS_FILES = frozenset({"Data", "DummyData", "HDF5Data", "ImageData", "MemoryData", "WindowData"})
#: Types whose layers have weights of their own, each with the number of bottoms from which on they have none.
_WITH_WEIGHTS = {
    "BatchNorm": 9, "Bias": 2, "Convolution": 9, "ConvolutionDepthwise": 9, "Deconvolution": 9, "Embed": 9,
    "InnerProduct": 9, "LSTM": 9, "PReLU": 9, "RNN": 9, "Scale": 2,
}  # fmt: skip
_TESTS = {"TRAIN": 0, "TEST": 1}


class Layer(object):
    """A layer: name, type, the blobs it reads (bottoms) and writes (tops), and its text."""

    def __init__(self, message, old):
        self.message = message
        self.old = old
        self.name = message.word("name", "")
        kind = message.word("type", "")
        self.kind = _V1_TYPES.get(kind, kind) if old else kind
        self.bottoms = message.words("bottom")
        self.tops = message.words("top")

    @property
    def needs_weights(self):
        """Whether the layer computes with weights."""
        return len(self.bottoms) < _WITH_WEIGHTS.get(self.kind, 0)

    @property
    def field(self):
        """The field's name in the network's message."""
        return "layers" if self.old else "layer"

    def reader(self, top):
        """Return a layer of the same form that reads one of this one's tops and does nothing."""
        name = quoted("read " + top)
        kind = "SPLIT" if self.old else quoted("Split")
        return Message([("name", name), ("type", kind), ("bottom", quoted(top)), ("top", name)])


class Structure(object):
    """The layers of a network in one phase.

    Attributes:
        inputs: Input blob → shape.
        layers: The layers, those of type Input included, in their order.
        outputs: Names of the blobs that no layer reads, in the alphabet's order, as Caffe gives them.
        blobs: Names of all blobs in the order in which they come up.
    """

    def __init__(self, path, phase, level=0, stages=()):
        message = read_prototxt(path)
        if any(layer.messages("layer") for layer in message.messages("layers")):
            raise NotImplementedError(
                "%s is of Caffe's first form: bring it up to date with upgrade_net_proto_text" % path
            )
        self._message = message
        layers = [
            Layer(value, name == "layers")
            for name, value in message.fields
            if name in ("layer", "layers") and isinstance(value, Message)
        ]
        self.layers = [layer for layer in layers if _is_in(layer.message, phase, level, stages)]
        self.inputs = _top_inputs(message, path)
        self.blobs = list(self.inputs)
        for layer in self.layers:
            self._add(layer, path)
        if not self.inputs:
            raise ValueError("%s has no input: neither a layer of type Input nor `input`" % path)
        self.outputs = self._unread()

    def _add(self, layer, path):
        if layer.kind in _READS_FILES:
            raise NotImplementedError(
                "layer %r of %s has the type %s, which reads its data from files; the stand-in for Caffe runs a "
                "network whose inputs are given: use the deploy form, with a layer of type Input"
                % (layer.name, path, layer.kind)
            )
        if layer.kind == "Input":
            shapes = [
                shape.numbers("dim")
                for param in layer.message.messages("input_param")
                for shape in param.messages("shape")
            ]
            if len(shapes) == 1:
                shapes *= len(layer.tops)
            if len(shapes) != len(layer.tops):
                raise ValueError("layer %r of %s gives no shape for each of its tops" % (layer.name, path))
            self.inputs.update(zip(layer.tops, (tuple(shape) for shape in shapes)))
        for name in layer.bottoms:
            if name not in self.blobs:
                raise ValueError(
                    "layer %r of %s reads the blob %r, which no layer before it gives" % (layer.name, path, name)
                )
        self.blobs += [name for name in layer.tops if name not in self.blobs]

    def _unread(self):
        waiting = set(self.inputs)
        for layer in self.layers:
            waiting -= set(layer.bottoms)
            waiting |= set(layer.tops)
        return sorted(waiting)

    @property
    def read_inputs(self):
        """The inputs that a layer reads: OpenCV knows no others."""
        read = {name for layer in self.layers for name in layer.bottoms}
        return [name for name in self.inputs if name in read]

    def writers(self):
        """Return blob → (index of the layer that writes it last, number of the top)."""
        found = {}
        for index, layer in enumerate(self.layers):
            if layer.kind != "Input":
                found.update((name, (index, number)) for number, name in enumerate(layer.tops))
        return found

    def text(self):
        """Return the network for OpenCV: this phase's layers, and its inputs without a shape that would bind them.

        OpenCV makes as many tops of a layer as are read, so that tops that nobody reads get a reader.
        """
        read = {name for layer in self.layers for name in layer.bottoms}
        fields = [("input", quoted(name)) for name in self.read_inputs]
        readers = []
        for layer in self.layers:
            if layer.kind == "Input":
                continue
            fields.append((layer.field, layer.message.without("include", "exclude")))
            if len(layer.tops) > 1:
                readers += [(layer.field, layer.reader(name)) for name in layer.tops if name not in read]
        return Message(fields + readers).write()


def _top_inputs(message, path):
    names = message.words("input")
    shapes = [tuple(shape.numbers("dim")) for shape in message.messages("input_shape")]
    flat = message.numbers("input_dim")
    if not shapes and len(flat) == 4 * len(names):
        shapes = [tuple(flat[place : place + 4]) for place in range(0, len(flat), 4)]
    if len(shapes) != len(names):
        raise ValueError("%s gives no shape for each `input`" % path)
    return OrderedDict(zip(names, shapes))


def _is_in(message, phase, level, stages):
    """Whether a layer is part of the network in this state."""
    includes = message.messages("include")
    if includes:
        return any(_meets(rule, phase, level, stages) for rule in includes)
    return not any(_meets(rule, phase, level, stages) for rule in message.messages("exclude"))


def _meets(rule, phase, level, stages):
    wanted = rule.word("phase")
    if wanted is not None and _TESTS.get(wanted, wanted) not in (phase, str(phase)):
        return False
    least, most = rule.numbers("min_level"), rule.numbers("max_level")
    if (least and level < least[-1]) or (most and level > most[-1]):
        return False
    return all(stage in stages for stage in rule.words("stage")) and not any(
        stage in stages for stage in rule.words("not_stage")
    )
