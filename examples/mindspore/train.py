"""Train a small network on iris and save its parameters as iris.ckpt (MindSpore 2)."""

import os
import sys

import mindspore
import numpy as np
from mindspore import nn, ops

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also the engine's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)
from iris_network import IrisNetwork  # noqa: E402

SPECIES = ["setosa", "versicolor", "virginica"]
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
STEPS = 300


def fit(rows, kinds):
    """Train with a fixed seed, all rows in each step."""
    mindspore.set_seed(0)
    network = IrisNetwork()
    loss = nn.CrossEntropyLoss()
    optimizer = nn.Adam(network.trainable_params(), learning_rate=0.02)
    lengths, labels = mindspore.Tensor(rows), mindspore.Tensor(kinds)
    differentiate = mindspore.value_and_grad(lambda: loss(network(lengths), labels), None, optimizer.parameters)
    for _ in range(STEPS):
        _, gradients = differentiate()
        optimizer(gradients)
    return network


def predict(network, rows):
    """Give the chance of each species, shape (n, 3)."""
    return ops.softmax(network(mindspore.Tensor(rows.astype(np.float32))), axis=1).asnumpy()


def main():
    """Train, save, load again, measure, answer the samples."""
    out = training.parse_arguments(__doc__)
    rows, kinds = training.read_table("iris")
    test = training.held_out(len(rows))
    path = os.path.join(out, "iris.ckpt")
    mindspore.save_checkpoint(fit(rows[~test].astype(np.float32), kinds[~test].astype(np.int32)), path)
    # MindSpore makes the file readable for its owner alone.
    os.chmod(path, 0o644)
    network = IrisNetwork()
    mindspore.load_param_into_net(network, mindspore.load_checkpoint(path))
    metrics = training.measure(kinds[test], predict(network, rows[test]).argmax(axis=1))
    responses = {}
    for name, request in training.read_samples(HERE).items():
        lengths = np.array([[flower[column] for column in COLUMNS] for flower in request["flowers"]])
        chances = predict(network, lengths)
        results = [{"species": SPECIES[row.argmax()], "probability": float(row.max())} for row in chances]
        responses[name] = {"results": results}
    training.write_report(out, mindspore.__version__, metrics, responses)


if __name__ == "__main__":
    main()
