"""Train a small network on 8x8 digits and save it as digits-symbol.json and digits-0012.params (MXNet 1.2 and 1.9)."""

import json
import os
import sys

import mxnet as mx
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also the engine's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

EPOCHS = 12
BATCH = 64
#: What the service is told of the network's inputs; 0 stands for any number of images.
SIGNATURE = {"inputs": [{"data_name": "images", "data_shape": [0, 8, 8]}]}


def build_network():
    """Give the symbol: images of shape (n, 8, 8) between 0 and 16 to the chances of ten digits each."""
    images = mx.sym.Variable("images")
    net = mx.sym.Reshape(images, shape=(-1, 1, 8, 8)) / 16
    for name, filters in (("first", 16), ("second", 32)):
        net = mx.sym.Convolution(net, name=name, kernel=(3, 3), pad=(1, 1), num_filter=filters)
        net = mx.sym.Activation(net, name=name + "_relu", act_type="relu")
        net = mx.sym.Pooling(net, name=name + "_pool", kernel=(2, 2), stride=(2, 2), pool_type="max")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), name="hidden", num_hidden=64)
    net = mx.sym.Activation(net, name="hidden_relu", act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, name="output", num_hidden=10), name="chances")


def fit(images, digits):
    """Train with a fixed seed and fixed order, so that each run gives the same numbers."""
    np.random.seed(0)
    mx.random.seed(0)
    batches = mx.io.NDArrayIter({"images": images}, {"chances_label": digits}, BATCH, shuffle=True)
    module = mx.mod.Module(build_network(), data_names=["images"], label_names=["chances_label"])
    module.fit(
        batches,
        num_epoch=EPOCHS,
        initializer=mx.init.Xavier(),
        optimizer="adam",
        optimizer_params={"learning_rate": 0.005},
    )
    return module


def predict(prefix, images):
    """Load what was saved and give the chances, shape (n, 10)."""
    symbol, arguments, auxiliary = mx.model.load_checkpoint(prefix, EPOCHS)
    module = mx.mod.Module(symbol, data_names=["images"], label_names=None)
    module.bind(for_training=False, data_shapes=[("images", images.shape)])
    module.set_params(arguments, auxiliary, allow_missing=True)
    module.forward(mx.io.DataBatch(data=[mx.nd.array(images)]), is_train=False)
    return module.get_outputs()[0].asnumpy()


def main():
    """Train, save, measure, answer the samples."""
    out = training.parse_arguments(__doc__)
    pixels, digits = training.read_table("digits")
    images = pixels.reshape(-1, 8, 8).astype(np.float32)
    test = training.held_out(len(images))
    prefix = os.path.join(out, "digits")
    fit(images[~test], digits[~test].astype(np.float32)).save_checkpoint(prefix, EPOCHS)
    with open(os.path.join(out, "signature.json"), "w") as stream:
        json.dump(SIGNATURE, stream, indent=2)
        stream.write("\n")
    metrics = training.measure(digits[test], predict(prefix, images[test]).argmax(axis=1))
    responses = {
        # One output, and in it the ten chances of each image.
        name: [predict(prefix, np.array(request["images"], dtype=np.float32)).tolist()]
        for name, request in training.read_samples(HERE).items()
    }
    for name, request in training.read_samples(os.path.join(HERE, "own_code")).items():
        with open(os.path.join(HERE, "own_code", "samples", request["files"]["images"]), "rb") as stream:
            pixels = mx.img.imresize(mx.img.imdecode(stream.read(), flag=0), 8, 8).asnumpy().reshape(1, 8, 8) / 15.0
        chances = predict(prefix, pixels.astype(np.float32))
        results = [{"digit": int(row.argmax()), "probability": float(row.max())} for row in chances]
        responses["own_code/" + name] = {"results": results}
    training.write_report(out, mx.__version__, metrics, responses)


if __name__ == "__main__":
    main()
