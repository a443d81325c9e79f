"""Train a small convolutional network on 8x8 digits with NumPy and write it as Caffe does.

Caffe itself is to be had nowhere today, so neither training nor the answers to the samples can be its own: both are
computed here, from the definition of the layers, and the service must give the same.

Source: caffe.proto of Caffe 1.0, for the field numbers; Protocol Buffers, "Encoding".
"""

import os
import struct
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also a module's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

EPOCHS = 15
BATCH = 32
RATE = 0.02
MOMENTUM = 0.9
FILTERS = 8
HIDDEN = 32
FURTHER = "own_code"

DEFINITION = """name: "digits"
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 1 dim: 8 dim: 8 } }
}
layer {
  name: "scale" type: "Power" bottom: "data" top: "scale"
  power_param { scale: 0.0625 }
}
layer {
  name: "conv" type: "Convolution" bottom: "scale" top: "conv"
  param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: %d kernel_size: 3 pad: 1 weight_filler { type: "xavier" } }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "hidden" type: "InnerProduct" bottom: "pool" top: "hidden"
  inner_product_param { num_output: %d weight_filler { type: "xavier" } }
}
layer { name: "hidden_relu" type: "ReLU" bottom: "hidden" top: "hidden" }
layer {
  name: "score" type: "InnerProduct" bottom: "hidden" top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
""" % (FILTERS, HIDDEN)


class Network(object):
    """The network of DEFINITION, forwards and backwards."""

    def __init__(self, seed):
        random = np.random.RandomState(seed)

        def start(*shape):
            return (random.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[1:]))).astype(np.float32)

        self.weights = {
            "conv": [start(FILTERS, 1, 3, 3), np.zeros(FILTERS, np.float32)],
            "hidden": [start(HIDDEN, FILTERS * 16), np.zeros(HIDDEN, np.float32)],
            "score": [start(10, HIDDEN), np.zeros(10, np.float32)],
        }

    def forward(self, images):
        """Return the chances of ten digits for images of shape (n, 1, 8, 8) between 0 and 16."""
        (kernel, bias), (first, first_bias), (second, second_bias) = (
            self.weights[k] for k in ("conv", "hidden", "score")
        )
        count = len(images)
        padded = np.pad(images * 0.0625, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
        windows = [padded[:, 0, row : row + 8, column : column + 8] for row in range(3) for column in range(3)]
        self.windows = np.stack(windows, axis=-1)
        conv = np.maximum(self.windows.dot(kernel.reshape(FILTERS, 9).T) + bias, 0).transpose(0, 3, 1, 2)
        self.blocks = (
            conv.reshape(count, FILTERS, 4, 2, 4, 2).transpose(0, 1, 2, 4, 3, 5).reshape(count, FILTERS, 4, 4, 4)
        )
        self.pooled = self.blocks.max(axis=-1).reshape(count, -1)
        self.hidden = np.maximum(self.pooled.dot(first.T) + first_bias, 0)
        score = self.hidden.dot(second.T) + second_bias
        chances = np.exp(score - score.max(axis=1, keepdims=True))
        return chances / chances.sum(axis=1, keepdims=True)

    def gradients(self, chances, digits):
        """Return the gradients of the mean logistic loss after a run forwards."""
        count = len(digits)
        score = chances.copy()
        score[np.arange(count), digits] -= 1
        score /= count
        hidden = score.dot(self.weights["score"][0]) * (self.hidden > 0)
        pooled = hidden.dot(self.weights["hidden"][0]).reshape(count, FILTERS, 4, 4)
        highest = np.eye(4, dtype=np.float32)[self.blocks.argmax(axis=-1)] * (self.blocks > 0)
        blocks = highest * pooled[..., np.newaxis]
        conv = blocks.reshape(count, FILTERS, 4, 4, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(count, FILTERS, 8, 8)
        kernel = np.tensordot(conv, self.windows, ((0, 2, 3), (0, 1, 2))).reshape(FILTERS, 1, 3, 3)
        return {
            "conv": [kernel, conv.sum(axis=(0, 2, 3))],
            "hidden": [hidden.T.dot(self.pooled), hidden.sum(axis=0)],
            "score": [score.T.dot(self.hidden), score.sum(axis=0)],
        }


def fit(images, digits):
    """Train with a fixed seed and order, so that each run gives the same numbers."""
    network = Network(seed=0)
    random = np.random.RandomState(1)
    speeds = {name: [np.zeros_like(array) for array in arrays] for name, arrays in network.weights.items()}
    for _ in range(EPOCHS):
        order = random.permutation(len(images))
        for place in range(0, len(order), BATCH):
            batch = order[place : place + BATCH]
            found = network.gradients(network.forward(images[batch]), digits[batch])
            for name, gradients in found.items():
                for speed, weights, gradient in zip(speeds[name], network.weights[name], gradients):
                    speed *= MOMENTUM
                    speed -= RATE * gradient
                    weights += speed
    return network


def varint(value):
    """Encode an integer from 0 upwards."""
    out = b""
    while value > 0x7F:
        out += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    return out + struct.pack("B", value)


def field(number, content):
    """Encode a field of bytes: a text, a message, or packed numbers."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def caffemodel(weights):
    """Encode a NetParameter: name 1, layer 100 { name 1, type 2, blobs 7 { data 5, shape 7 { dim 1 } } }."""
    kinds = {"conv": b"Convolution", "hidden": b"InnerProduct", "score": b"InnerProduct"}
    out = field(1, b"digits")
    for name, arrays in sorted(weights.items()):
        layer = field(1, name.encode()) + field(2, kinds[name])
        for array in arrays:
            shape = field(1, b"".join(varint(dim) for dim in array.shape))
            layer += field(7, field(5, array.astype("<f4").tobytes()) + field(7, shape))
        out += field(100, layer)
    return out


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    pixels, digits = training.read_table("digits")
    images = pixels.reshape(-1, 1, 8, 8).astype(np.float32)
    test = training.held_out(len(images))
    network = fit(images[~test], digits[~test])
    metrics = training.measure(digits[test], network.forward(images[test]).argmax(axis=1))
    responses = {}
    for name, request in training.read_samples(HERE).items():
        responses[name] = {"prob": network.forward(np.array(request["data"], np.float32)).tolist()}
    for name, request in training.read_samples(os.path.join(HERE, FURTHER)).items():
        chances = network.forward(np.array(request["images"], np.float32).reshape(-1, 1, 8, 8))
        results = [{"digit": int(row.argmax()), "probability": float(row.max())} for row in chances]
        responses[FURTHER + "/" + name] = {"results": results}
    with open(os.path.join(out, "digits.prototxt"), "w") as stream:
        stream.write(DEFINITION)
    with open(os.path.join(out, "digits.caffemodel"), "wb") as stream:
        stream.write(caffemodel(network.weights))
    training.write_report(out, "none, NumPy " + np.__version__, metrics, responses)


if __name__ == "__main__":
    main()
