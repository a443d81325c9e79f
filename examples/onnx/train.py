"""Train a small network on 8x8 digits with NumPy and write it as digits.onnx (ONNX Runtime 1.31 and newer)."""

import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also a module's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

HIDDEN = 48
EPOCHS = 60
BATCH = 32
STEP = 0.2
#: What every ONNX Runtime since 1.18 reads.
OPSET = 17
IR_VERSION = 10


def fit(images, digits):
    """Train two layers by gradient descent; give their weights and biases."""
    random = np.random.RandomState(0)
    weights = [random.randn(64, HIDDEN) / 8, np.zeros(HIDDEN), random.randn(HIDDEN, 10) / 8, np.zeros(10)]
    wanted = np.eye(10)[digits]
    for _ in range(EPOCHS):
        order = random.permutation(len(images))
        for start in range(0, len(images), BATCH):
            batch = order[start : start + BATCH]
            hidden = np.maximum(images[batch] @ weights[0] + weights[1], 0)
            scores = hidden @ weights[2] + weights[3]
            chances = np.exp(scores - scores.max(axis=1, keepdims=True))
            error = (chances / chances.sum(axis=1, keepdims=True) - wanted[batch]) / len(batch)
            below = (error @ weights[2].T) * (hidden > 0)
            steps = [images[batch].T @ below, below.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
            weights = [weight - STEP * step for weight, step in zip(weights, steps)]
    return [weight.astype(np.float32) for weight in weights]


def to_model(weights):
    """Write the layers as a graph: images of shape (n, 1, 8, 8) between 0 and 1 to digits and probabilities."""
    image = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 1, 8, 8])
    outputs = [
        helper.make_tensor_value_info("digits", onnx.TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["n", 10]),
    ]
    nodes = [
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("Gemm", ["pixels", "weights_1", "biases_1"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "weights_2", "biases_2"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["digits"], axis=1, keepdims=0),
    ]
    names = ["weights_1", "biases_1", "weights_2", "biases_2"]
    tensors = [numpy_helper.from_array(weight, name) for weight, name in zip(weights, names)]
    graph = helper.make_graph(nodes, "digits", [image], outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    pixels, digits = training.read_table("digits")
    images = pixels / 16
    test = training.held_out(len(images))
    model = to_model(fit(images[~test], digits[~test]))
    onnx.checker.check_model(model)
    path = os.path.join(out, "digits.onnx")
    onnx.save_model(model, path)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def answer(batch):
        return session.run(["digits", "probabilities"], {"images": batch.reshape(-1, 1, 8, 8).astype(np.float32)})

    metrics = training.measure(digits[test], answer(images[test])[0])
    responses = {}
    for name, request in training.read_samples(HERE).items():
        found, chances = answer(np.array(request["images"]))
        responses[name] = {"digits": found.tolist(), "probabilities": chances.tolist()}
    training.write_report(out, onnxruntime.__version__, metrics, responses)


if __name__ == "__main__":
    main()
