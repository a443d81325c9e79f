"""Checks of the stand-in for pycaffe, run by a Python that has OpenCV: `python caffe_checks.py FOLDER`.

Prints one JSON object: the name of each function `check_…` → null, or its traceback. Python 3.6 and newer.
"""

import io
import json
import os
import sys
import traceback

import caffe
import cv2
import numpy as np
from caffe.proto import caffe_pb2
from caffe.weights import write_weights
from caffe.wire import encode_blob, encode_bytes, encode_varint

NETWORK = """
name: "small"  # a comment
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param < num_output: 4, kernel_size: 3; pad: 1 weight_filler { type: "xavier" } >
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm" type: "BatchNorm" bottom: "pool" top: "norm" }
layer { name: "scale" type: "Scale" bottom: "norm" top: "norm" scale_param { bias_term: true } }
layer { name: "ip" type: "InnerProduct" bottom: "norm" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" dropout_param { dropout_ratio: 0.5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "data" top: "loss" include { phase: TRAIN } }
"""
OLD_NETWORK = """
input: "data" input_dim: 1 input_dim: 1 input_dim: 2 input_dim: 2
layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip" inner_product_param { num_output: 3 } blobs_lr: 1 }
layers { name: "tanh" type: TANH bottom: "ip" top: "tanh" }
"""
_random = np.random.RandomState(0)


def _values(*shape):
    return _random.standard_normal(shape).astype(np.float32)


WEIGHTS = {
    "conv": [_values(4, 3, 3, 3), _values(4)],
    "norm": [_values(4), np.abs(_values(4)) + 0.5, np.array([2.0], np.float32)],
    "scale": [_values(4), _values(4)],
    "ip": [_values(5, 64), _values(5)],
}
KINDS = {"conv": "Convolution", "norm": "BatchNorm", "scale": "Scale", "ip": "InnerProduct"}


def _forward(images, weights=WEIGHTS):
    """What the network computes, in double precision."""
    (kernel, bias), (mean, variance, factor), (gamma, beta), (matrix, offset) = (weights[name] for name in KINDS)
    padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
    conv = np.zeros((len(images), 4, 8, 8))
    for row in range(8):
        for column in range(8):
            window = padded[:, :, row : row + 3, column : column + 3]
            conv[:, :, row, column] = np.tensordot(window, kernel, ((1, 2, 3), (1, 2, 3))) + bias
    conv = np.maximum(conv, 0)
    # Caffe rounds up: the last window goes beyond the edge.
    pool = np.zeros((len(images), 4, 4, 4))
    for row in range(4):
        for column in range(4):
            window = conv[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            pool[:, :, row, column] = window.max(axis=(2, 3))
    along = (slice(None), np.newaxis, np.newaxis)
    norm = (pool - (mean / factor)[along]) / np.sqrt((variance / factor)[along] + 1e-5)
    norm = norm * gamma[along] + beta[along]
    ip = norm.reshape(len(images), -1).dot(matrix.T.astype(np.float64)) + offset
    prob = np.exp(ip - ip.max(axis=1, keepdims=True))
    return {"conv": conv, "pool": pool, "norm": norm, "ip": ip, "prob": prob / prob.sum(axis=1, keepdims=True)}


def _close(one, two, most=1e-4):
    assert np.shape(one) == np.shape(two), (np.shape(one), np.shape(two))
    worst = np.max(np.abs(np.asarray(one, np.float64) - two))
    assert worst <= most, worst


def _raises(kind, words, call, *args, **kwargs):
    told = None
    try:
        call(*args, **kwargs)
    except kind as error:
        told = str(error)
    assert told is not None, "nothing was raised"
    assert words in told, told


def _write(name, content):
    with open(name, "wb") as stream:
        stream.write(content if isinstance(content, bytes) else content.encode())
    return os.path.abspath(name)


def _model(name, layers):
    with open(name, "wb") as stream:
        write_weights(stream, layers)
    return os.path.abspath(name)


def _files(weights=WEIGHTS):
    layers = [(name, KINDS[name], blobs) for name, blobs in weights.items()]
    return _write("small.prototxt", NETWORK), _model("small.caffemodel", layers)


def _net():
    return caffe.Net(*_files(), caffe.TEST)


def check_every_blob_holds_what_its_last_layer_computed():
    net = _net()
    images = _values(2, 3, 8, 8)
    out = net.forward(data=images)
    expected = _forward(images)
    assert set(out) == {"prob"}
    assert out["prob"].dtype == np.float32
    for name, values in expected.items():
        _close(net.blobs[name].data, values)


def check_names_and_shapes_are_known_before_the_first_run():
    net = _net()
    assert (net.inputs, net.outputs) == (["data"], ["prob"])
    assert list(net.blobs) == ["data", "conv", "pool", "norm", "ip", "prob"]
    assert [blob.data.shape for blob in net.blobs.values()] == [
        (2, 3, 8, 8), (2, 4, 8, 8), (2, 4, 4, 4), (2, 4, 4, 4), (2, 5), (2, 5),
    ]  # fmt: skip
    assert list(net.params) == ["conv", "norm", "scale", "ip"]
    assert [[blob.data.shape for blob in blobs] for blobs in net.params.values()] == [
        [blob.shape for blob in blobs] for blobs in WEIGHTS.values()
    ]
    assert net.top_names["relu"] == net.bottom_names["relu"] == ["conv"]
    assert net.layer_dict["ip"].type == "InnerProduct"
    blob = net.blobs["ip"]
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (2, 5, 1, 1, 10)
    assert not blob.diff.any()


def check_both_forms_of_the_constructor_give_the_same_network():
    prototxt, caffemodel = _files()
    images = _values(2, 3, 8, 8)
    for net in (
        caffe.Net(prototxt, caffemodel, caffe.TEST),
        caffe.Net(prototxt, caffe.TEST, weights=caffemodel),
        caffe.Net(network_file=prototxt, phase=caffe.TEST, weights=caffemodel),
    ):
        _close(net.forward(data=images)["prob"], _forward(images)["prob"])


def check_a_reshaped_input_gives_a_larger_batch():
    net = _net()
    images = _values(5, 3, 8, 8)
    net.blobs["data"].reshape(5, 3, 8, 8)
    net.blobs["data"].data[...] = images
    _close(net.forward()["prob"], _forward(images)["prob"])
    net.blobs["data"].reshape(*(1, 3, 8, 8))
    net.reshape()
    assert net.blobs["conv"].data.shape == (1, 4, 8, 8)
    _close(net.forward()["prob"], _forward(images[:1])["prob"])


def check_what_forward_gives_is_the_network_s_own_memory():
    net = _net()
    first = net.forward(data=_values(2, 3, 8, 8))["prob"]
    kept = first.copy()
    second = net.forward(data=_values(2, 3, 8, 8))["prob"]
    assert np.shares_memory(first, second)
    assert not np.array_equal(first, kept)


def check_forward_takes_all_inputs_of_the_batch_s_size_or_none():
    net = _net()
    _raises(Exception, "Input blob arguments do not match net inputs.", net.forward, images=_values(2, 3, 8, 8))
    _raises(Exception, "Input is not batch sized", net.forward, data=_values(3, 3, 8, 8))


def check_forward_gives_further_blobs_and_ends_where_it_is_told():
    net = _net()
    images = _values(2, 3, 8, 8)
    assert set(net.forward(blobs=["pool"], data=images)) == {"pool", "prob"}
    other = _values(2, 3, 8, 8)
    ended = net.forward(end="pool", data=other)
    assert set(ended) == {"pool"}
    _close(ended["pool"], _forward(other)["pool"])
    _close(net.blobs["prob"].data, _forward(images)["prob"])
    _raises(NotImplementedError, "start='pool'", net.forward, start="pool")
    assert set(net.forward(start="conv")) == {"prob"}
    _raises(ValueError, "nothing", net.forward, end="nothing")


def check_forward_all_goes_through_any_number_of_rows():
    net = _net()
    for count in (1, 2, 5):
        images = _values(count, 3, 8, 8)
        _close(net.forward_all(data=images)["prob"], _forward(images)["prob"])
    assert set(net.forward_all(blobs=["conv"], data=images)) == {"conv", "prob"}


def check_weights_that_code_changes_count():
    net = _net()
    images = _values(2, 3, 8, 8)
    matrix, offset = (blob.data for blob in net.params["ip"])
    changed = dict(WEIGHTS, ip=[matrix * 2, offset + 1])
    matrix *= 2
    offset[...] += 1
    _close(net.forward(data=images)["prob"], _forward(images, changed)["prob"])
    offset[0] -= 3
    changed["ip"][1][0] -= 3
    _close(net.forward()["prob"], _forward(images, changed)["prob"])


def check_weights_may_come_later():
    prototxt, caffemodel = _files()
    net = caffe.Net(prototxt, caffe.TEST)
    assert net.blobs["data"].data.shape == (2, 3, 8, 8)
    _raises(RuntimeError, "call copy_from", net.forward)
    _raises(RuntimeError, "call copy_from", lambda: net.blobs["prob"].data)
    net.copy_from(caffemodel)
    images = _values(2, 3, 8, 8)
    _close(net.forward(data=images)["prob"], _forward(images)["prob"])


def check_weights_may_come_from_two_files_and_in_double_precision():
    prototxt, _ = _files()
    first = _model("first.caffemodel", [(name, KINDS[name], WEIGHTS[name]) for name in ("conv", "norm", "scale", "ip")])
    other = [_values(5, 64), _values(5)]
    net = caffe.Net(prototxt, first, caffe.TEST)
    net.copy_from(_model("second.caffemodel", [("ip", "InnerProduct", other), ("none", "InnerProduct", other)]))
    images = _values(2, 3, 8, 8)
    _close(net.forward(data=images)["prob"], _forward(images, dict(WEIGHTS, ip=other))["prob"])
    assert "none" not in net.params

    def double(array):
        shape = encode_bytes(7, *encode_bytes(1, b"".join(encode_varint(dim) for dim in array.shape)))
        return encode_bytes(7, *(shape + encode_bytes(8, array.astype("<f8").tobytes())))

    layers = []
    for name, arrays in WEIGHTS.items():
        layer = encode_bytes(1, name.encode()) + [piece for array in arrays for piece in double(array)]
        layers += encode_bytes(100, *layer)
    net = caffe.Net(prototxt, _write("double.caffemodel", b"".join(layers)), caffe.TEST)
    _close(net.forward(data=images)["prob"], _forward(images)["prob"])


def check_files_of_the_old_form_are_read():
    matrix, bias = _values(3, 4), _values(3)

    def blob(array, shape):
        old = b"".join(encode_varint(field << 3) + encode_varint(dim) for field, dim in enumerate(shape, 1))
        values = encode_bytes(5, array.astype("<f4").tobytes())
        return encode_bytes(6, old, *values)

    layer = [*encode_bytes(4, b"ip"), encode_varint(5 << 3) + encode_varint(14)]
    layer += blob(matrix, (1, 1, 3, 4)) + blob(bias, (1, 1, 1, 3))
    weights = _write("old.caffemodel", b"".join(encode_bytes(2, *layer)))
    net = caffe.Net(_write("old.prototxt", OLD_NETWORK), weights, caffe.TEST)
    assert [item.data.shape for item in net.params["ip"]] == [(3, 4), (3,)]
    image = _values(1, 1, 2, 2)
    _close(net.forward(data=image)["tanh"], np.tanh(image.reshape(1, 4).dot(matrix.T) + bias))


def check_rules_of_phase_level_and_stage_choose_the_layers():
    prototxt = _write(
        "rules.prototxt",
        """
        input: 'data' input_shape { dim: [1, 2] }
        layer { name: "a" type: "Power" bottom: "data" top: "a" power_param { scale: 2 } exclude { phase: TEST } }
        layer { name: "b" type: "Power" bottom: "data" top: "b" power_param { scale: 3 } include { stage: "deploy" } }
        layer { name: "c" type: "Power" bottom: "data" top: "c" power_param { scale: 5 } include { min_level: 1 } }
        layer { name: "d" type: "Power" bottom: "data" top: "d" include { phase: TEST not_stage: "deploy" } }
        """,
    )
    assert caffe.Net(prototxt, caffe.TRAIN).outputs == ["a"]
    assert caffe.Net(prototxt, caffe.TEST).outputs == ["d"]
    net = caffe.Net(prototxt, caffe.TEST, level=1, stages=["deploy"])
    assert net.outputs == ["b", "c"]
    out = net.forward(data=np.array([[1.0, -2.0]]))
    assert out["b"].tolist() == [[3.0, -6.0]]
    assert out["c"].tolist() == [[5.0, -10.0]]


def check_outputs_that_nobody_reads_are_all_there_in_the_alphabet_s_order():
    prototxt = _write(
        "slice.prototxt",
        """
        input: "data" input_shape { dim: 1 dim: 4 } input: "unused" input_shape { dim: 1 dim: 1 }
        layer { name: "s" type: "Slice" bottom: "data" top: "z" top: "a" slice_param { axis: 1 slice_point: 1 } }
        """,
    )
    net = caffe.Net(prototxt, caffe.TEST)
    assert (net.inputs, net.outputs) == (["data", "unused"], ["a", "unused", "z"])
    out = net.forward(data=np.arange(4.0).reshape(1, 4), unused=np.ones((1, 1)))
    assert (out["z"].tolist(), out["a"].tolist(), out["unused"].tolist()) == ([[0.0]], [[1.0, 2.0, 3.0]], [[1.0]])


def check_what_the_stand_in_cannot_do_is_named():
    layer = 'layer { name: "x" type: "%s" bottom: "data" top: "x" }'
    network = 'input: "data" input_shape { dim: 1 dim: 1 dim: 2 dim: 2 }\n'
    path = _write("python.prototxt", network + layer % "Python")
    _raises(NotImplementedError, "no layer of type 'Python', which layer 'x' has", caffe.Net, path, caffe.TEST)
    path = _write("data.prototxt", 'layer { name: "d" type: "Data" top: "data" top: "label" }')
    _raises(NotImplementedError, "type Data, which reads its data from files", caffe.Net, path, caffe.TEST)
    net = _net()
    for call in (
        net.backward,
        lambda: net.save("x"),
        lambda: caffe.SGDSolver("s"),
        caffe.NetSpec,
        caffe_pb2.NetParameter,
    ):
        _raises(NotImplementedError, "is not Caffe", call)
    _raises(NotImplementedError, "order 3", caffe.io.resize_image, np.zeros((2, 2, 1)), (4, 4), interp_order=3)


def check_wrong_files_are_told_apart():
    prototxt, _ = _files()
    _raises(RuntimeError, "Could not open file none.prototxt", caffe.Net, "none.prototxt", caffe.TEST)
    _raises(RuntimeError, "Could not open file none", caffe.Net, prototxt, "none", caffe.TEST)
    for content in (b"", b"\xff" * 40, prototxt.encode(), b"\n\x03net"):
        _raises(ValueError, "is no caffemodel", caffe.Net, prototxt, _write("bad", content), caffe.TEST)
    _raises(NotImplementedError, "HDF5", caffe.Net, prototxt, _write("bad", b"\x89HDF\r\n\x1a\n"), caffe.TEST)
    for text, words in [
        ("layer {\n name: }", "line 2: a value is expected"),
        ("layer {\n name: 'x'\n", "the end comes before a closing '}'"),
        ("layer { }\n}", "line 2"),
        ("name = 'x'", "line 1"),
        ('layer { name: "r" type: "ReLU" bottom: "none" top: "r" } input: "d" input_dim: 1', "no shape"),
        (
            'input: "d" input_shape { dim: 1 } layer { name: "r" type: "ReLU" bottom: "none" top: "r" }',
            "reads the blob",
        ),
        ('name: "nothing"', "has no input"),
    ]:
        _raises(ValueError, words, caffe.Net, _write("bad.prototxt", text), caffe.TEST)
    few = {name: WEIGHTS[name] for name in ("conv", "norm")}
    _raises(RuntimeError, "has no weights for scale, ip", caffe.Net, *_files(few), caffe.TEST)
    other = dict(WEIGHTS, ip=[_values(5, 63), _values(5)])
    _raises(RuntimeError, "layer 'ip' has weights for 63 values and gets 64", caffe.Net, *_files(other), caffe.TEST)
    other = dict(WEIGHTS, conv=[_values(4, 2, 3, 3), _values(4)])
    _raises(RuntimeError, "cannot run the network", caffe.Net, *_files(other), caffe.TEST)
    net = _net()
    net.blobs["data"].reshape(2, 3, 9, 9)
    _close(net.forward()["prob"], net.blobs["prob"].data, 0)
    net.blobs["data"].reshape(2, 3, 16, 16)
    _raises(RuntimeError, "layer 'ip' has weights for 64 values and gets 256", net.forward)


def check_the_modes_and_the_version_are_there():
    caffe.set_mode_cpu()
    caffe.set_mode_gpu()
    caffe.set_device(0)
    assert (caffe.TRAIN, caffe.TEST, caffe.__version__) == (0, 1, "1.0.0")
    assert cv2.__version__ in caffe.__stand_in__
    assert "This is not Caffe." in caffe.__doc__


def check_the_transformer_does_its_steps_in_caffe_s_order():
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_raw_scale("data", 255.0)
    mean = np.array([104.0, 117.0, 123.0])
    transformer.set_mean("data", mean)
    transformer.set_input_scale("data", 0.017)
    image = _random.uniform(size=(4, 5, 3)).astype(np.float32)
    before = image.copy()
    done = transformer.preprocess("data", image)
    expected = (image.transpose(2, 0, 1)[::-1].astype(np.float64) * 255 - mean[:, None, None]) * 0.017
    _close(done, expected, 1e-5)
    assert done.dtype == np.float32
    assert np.array_equal(image, before)
    _close(transformer.deprocess("data", done[np.newaxis]), image, 1e-6)


def check_the_transformer_brings_images_to_the_input_s_size():
    transformer = caffe.io.Transformer({"data": (1, 1, 4, 4)})
    image = _random.uniform(size=(9, 7, 1))
    resized = caffe.io.resize_image(image, (4, 4))
    assert transformer.preprocess("data", image).shape == (4, 4, 1)
    _close(transformer.preprocess("data", image), resized, 1e-6)


def check_the_transformer_refuses_what_does_not_fit():
    transformer = caffe.io.Transformer({"data": (1, 3, 2, 2)})
    _raises(Exception, "image is not one of the net inputs", transformer.set_raw_scale, "image", 1)
    _raises(Exception, "Transpose order needs", transformer.set_transpose, "data", (1, 0))
    _raises(Exception, "Channel swap needs", transformer.set_channel_swap, "data", (1, 0))
    _raises(ValueError, "Mean channels incompatible", transformer.set_mean, "data", np.zeros(2))
    _raises(ValueError, "Mean shape invalid", transformer.set_mean, "data", np.zeros((1, 3, 2, 2)))
    _raises(ValueError, "Mean shape incompatible", transformer.set_mean, "data", np.zeros((3, 4, 4)))
    transformer.set_mean("data", np.zeros((3, 2, 2)))


def check_images_are_resized_at_the_centres_of_their_pixels():
    ramp = np.array([[0.0, 1.0], [0.0, 1.0]]).reshape(2, 2, 1)
    # Beyond the edge lies the least value, so that the outermost rows and columns are pulled towards it.
    row = np.array([0.0, 0.25, 0.75, 0.75])
    edge = np.array([0.75, 1.0, 1.0, 0.75])
    _close(caffe.io.resize_image(ramp, (4, 4))[:, :, 0], np.outer(edge, row), 1e-6)
    _close(caffe.io.resize_image(ramp * 4 + 1, (4, 4))[:, :, 0], np.outer(edge, row) * 4 + 1, 1e-6)
    four = np.arange(16.0).reshape(4, 4, 1)
    _close(caffe.io.resize_image(four, (2, 2))[:, :, 0], [[2.5, 4.5], [10.5, 12.5]], 1e-6)
    assert (caffe.io.resize_image(np.full((3, 3, 3), 7.0), (2, 5)) == 7).all()
    # Other numbers of channels keep their corners.
    two = np.dstack([four, four])
    _close(caffe.io.resize_image(two, (2, 3))[:, :, 1], [[0, 1.5, 3], [12, 13.5, 15]], 1e-6)


def check_images_are_read_with_red_first_between_0_and_1():
    pixels = np.array([[[255, 0, 51], [0, 102, 0]]], np.uint8)
    path = _write("colour.png", cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes())
    image = caffe.io.load_image(path)
    assert (image.dtype, image.shape) == (np.float32, (1, 2, 3))
    _close(image, pixels / 255.0, 1e-6)
    with open(path, "rb") as stream:
        _close(caffe.io.load_image(io.BytesIO(stream.read())), pixels / 255.0, 1e-6)
    _close(caffe.io.load_image(path, color=False)[:, :, 0], [[0.2125 + 0.0721 * 0.2, 0.7154 * 0.4]], 1e-6)
    grey = np.array([[0, 65535], [13107, 26214]], np.uint16)
    path = _write("grey.png", cv2.imencode(".png", grey)[1].tobytes())
    assert caffe.io.load_image(path).shape == (2, 2, 3)
    _close(caffe.io.load_image(path, color=False)[:, :, 0], grey / 65535.0, 1e-6)
    alpha = np.dstack([pixels[:, :, ::-1], np.full((1, 2), 9, np.uint8)])
    path = _write("alpha.png", cv2.imencode(".png", alpha)[1].tobytes())
    _close(caffe.io.load_image(path), pixels / 255.0, 1e-6)
    for content in (b"", b"no image"):
        _raises(OSError, "is no image", caffe.io.load_image, io.BytesIO(content))
    _raises(OSError, "none.png", caffe.io.load_image, "none.png")


def check_ten_crops_are_cut_in_caffe_s_order():
    image = _values(6, 8, 3)
    crops = caffe.io.oversample([image, image + 1], (4, 4))
    assert crops.shape == (20, 4, 4, 3)
    expected = [image[:4, :4], image[:4, 4:], image[2:, :4], image[2:, 4:], image[1:5, 2:6]]
    for number, crop in enumerate(expected):
        assert np.array_equal(crops[number], crop)
        assert np.array_equal(crops[number + 5], crop[:, ::-1])
        assert np.array_equal(crops[number + 10], crop + 1)


def check_a_mean_file_is_read():
    mean = _values(1, 3, 2, 2)
    old = b"".join(encode_varint(field << 3) + encode_varint(dim) for field, dim in enumerate(mean.shape, 1))
    blob = caffe.io.caffe_pb2.BlobProto()
    blob.ParseFromString(old + b"".join(encode_bytes(5, mean.astype("<f4").tobytes())))
    _close(caffe.io.blobproto_to_array(blob), mean, 0)
    assert (blob.num, blob.channels, blob.HasField("num"), blob.HasField("shape")) == (1, 3, True, False)
    # Numbers that are not packed, and the new form.
    loose = b"".join(encode_varint(5 << 3 | 5) + value.tobytes() for value in mean.astype("<f4").ravel())
    _close(caffe.io.blobproto_to_array(caffe_pb2.BlobProto.FromString(old + loose)), mean, 0)
    new = caffe_pb2.BlobProto.FromString(b"".join(encode_blob(mean[0])))
    _close(caffe.io.blobproto_to_array(new), mean[0], 0)
    _raises(ValueError, "", caffe_pb2.BlobProto.FromString, b"\x2a\xff")


def check_a_classifier_averages_over_its_crops():
    prototxt, caffemodel = _files()
    classifier = caffe.Classifier(
        prototxt, caffemodel, image_dims=(10, 12), mean=np.array([1.0, 2.0, 3.0]), raw_scale=255, channel_swap=(2, 1, 0)
    )
    images = [_random.uniform(size=(10, 12, 3)).astype(np.float32) for _ in range(3)]

    def prepared(crops):
        return np.array(crops).transpose(0, 3, 1, 2)[:, ::-1] * 255.0 - np.array([1.0, 2.0, 3.0])[:, None, None]

    middle = [image[1:9, 2:10] for image in images]
    _close(classifier.predict(images, oversample=False), _forward(prepared(middle))["prob"])
    ten = caffe.io.oversample(images, (8, 8))
    _close(classifier.predict(images), _forward(prepared(ten))["prob"].reshape(3, 10, 5).mean(1))


def check_a_detector_classifies_windows():
    prototxt, caffemodel = _files()
    detector = caffe.Detector(prototxt, caffemodel, raw_scale=255)
    pixels = _random.randint(0, 256, (20, 20, 3)).astype(np.uint8)
    path = _write("windows.png", cv2.imencode(".png", pixels)[1].tobytes())
    windows = [(0, 0, 8, 8), (4, 2, 12, 10), (1, 1, 17, 9)]
    found = detector.detect_windows([(path, windows)])
    assert [item["window"] for item in found] == windows
    image = caffe.io.load_image(path)
    for item in found:
        top, left, bottom, right = item["window"]
        part = caffe.io.resize_image(image[top:bottom, left:right], (8, 8)).transpose(2, 0, 1)[np.newaxis] * 255.0
        _close(item["prediction"], _forward(part)["prob"][0])
    _raises(NotImplementedError, "context_pad", caffe.Detector, prototxt, caffemodel, context_pad=16)


def main():
    os.chdir(sys.argv[1])
    told = {}
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            try:
                check()
                told[name] = None
            except Exception:
                told[name] = traceback.format_exc()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
