"""Writes the small files beside this one, each with a real engine: `python write.py NAME TARGET`.

Run it in an environment that holds the engine; README.md says which versions. Python 3.6 and newer.
"""

import json
import os
import sys


def _at(target, engine, version, name=""):
    folder = os.path.join(target, "%s-%s" % (engine, version.split("+")[0]))
    if not os.path.isdir(folder):
        os.makedirs(folder)
    return os.path.join(folder, name)


def scikit_learn(target):
    import sklearn
    from sklearn.linear_model import LogisticRegression

    try:
        import joblib
    except ImportError:
        from sklearn.externals import joblib
    model = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]], [0, 1, 1])
    joblib.dump(model, _at(target, "scikit-learn", sklearn.__version__, "iris.m"))
    joblib.dump(model, _at(target, "scikit-learn", sklearn.__version__, "zlib.m"), compress=3)


def xgboost(target):
    import pickle

    import numpy
    import xgboost

    data = xgboost.DMatrix(numpy.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]), label=numpy.array([0, 1, 1]))
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2}, data, 2)
    names = ["booster.m"] if xgboost.__version__.startswith("0.") else ["booster.ubj", "booster.json"]
    for name in names:
        booster.save_model(_at(target, "xgboost", xgboost.__version__, name))
    with open(_at(target, "xgboost", xgboost.__version__, "pickled.m"), "wb") as file:
        pickle.dump(booster, file, 2)


def lightgbm(target):
    import pickle

    import lightgbm
    import numpy

    rows = numpy.random.RandomState(0).rand(60, 2)
    data = lightgbm.Dataset(rows, label=(rows[:, 0] > 0.5).astype(int))
    booster = lightgbm.train({"objective": "binary", "num_leaves": 4, "verbose": -1}, data, 2)
    booster.save_model(_at(target, "lightgbm", lightgbm.__version__, "model.txt"))
    with open(_at(target, "lightgbm", lightgbm.__version__, "pickled.m"), "wb") as file:
        pickle.dump(booster, file, 2)


def catboost(target):
    import catboost

    model = catboost.CatBoostClassifier(iterations=3, depth=2, verbose=False, allow_writing_files=False)
    model.fit([[0, 1], [1, 0], [2, 1], [3, 0]], [0, 1, 1, 0])
    model.save_model(_at(target, "catboost", catboost.__version__, "model.cbm"))
    model.save_model(_at(target, "catboost", catboost.__version__, "model.json"), format="json")


def onnx(target):
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def model(domain, weights):
        node = helper.make_node("MatMul" if not domain else "Mystery", ["x", "w"], ["y"], domain=domain)
        graph = helper.make_graph(
            [node],
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
            [weights],
        )
        opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=9, producer_name="airlock", producer_version="1.2"
        )

    weights = numpy_helper.from_array(numpy.ones((4, 2), dtype="float32"), "w")
    folder = _at(target, "onnx", onnx.__version__)
    onnx.save(model("", weights), os.path.join(folder, "net.onnx"))
    onnx.save(model("com.example", weights), os.path.join(folder, "custom.onnx"))
    latest = model("", weights)
    latest.opset_import[0].version = onnx.defs.onnx_opset_version()
    latest.ir_version = onnx.IR_VERSION
    onnx.save(latest, os.path.join(folder, "latest.onnx"))
    onnx.save(
        model("", weights),
        os.path.join(folder, "external.onnx"),
        save_as_external_data=True,
        location="net.bin",
        size_threshold=0,
    )


def numpy(target):
    import datetime

    import numpy

    folder = _at(target, "numpy", numpy.__version__)
    numbers = numpy.arange(6, dtype="float32").reshape(2, 3)
    objects = numpy.array(["a", None, 3, datetime.date(2024, 5, 1)], dtype=object)
    fields = numpy.array([(1, 2.5, "x")], dtype=[("a", "i4"), ("b", "f8"), ("c", "U3")])
    numpy.save(os.path.join(folder, "numbers.npy"), numbers)
    numpy.save(os.path.join(folder, "fields.npy"), fields)
    numpy.save(os.path.join(folder, "objects.npy"), objects)
    numpy.savez(os.path.join(folder, "arrays.npz"), numbers=numbers, objects=objects)
    numpy.savez_compressed(os.path.join(folder, "packed.npz"), numbers=numbers, objects=objects)


def transformers(target):
    import torch
    import transformers

    # As the Trainer saves it: with the device that it found. Paths and names of machines are given, not found out.
    wanted = {
        "output_dir": "out",
        "logging_dir": "logs",
        "report_to": [],
        "use_cpu": True,
        "no_cuda": True,
        "fsdp": "",
        "evaluation_strategy": "steps",
        "eval_strategy": "steps",
        "debug": "underflow_overflow",
        "optim": "adamw_torch",
    }
    known = transformers.TrainingArguments.__dataclass_fields__
    settings = transformers.TrainingArguments(**{name: wanted[name] for name in wanted if name in known})
    str(settings.device)
    folder = _at(target, "transformers", transformers.__version__)
    torch.save(settings, os.path.join(folder, "training_args.bin"))


def safetensors(target):
    import numpy
    import safetensors
    from safetensors.numpy import save_file

    tensors = {
        "w": numpy.ones((4, 2), dtype="float32"),
        "b": numpy.zeros(2, dtype="float16"),
        "empty": numpy.zeros((0, 3)),
    }
    save_file(
        tensors, _at(target, "safetensors", safetensors.__version__, "net.safetensors"), metadata={"format": "pt"}
    )


def _without_paths(archive):
    """Leave out the records for debugging: they hold the paths of the machine."""
    import zipfile

    with zipfile.ZipFile(archive) as whole:
        kept = [(info, whole.read(info)) for info in whole.infolist() if not info.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(archive, "w") as whole:
        for info, data in kept:
            # Without the extra field, which is PyTorch's padding.
            info.extra = b""
            whole.writestr(info, data)


def torch(target):
    import torch

    net = torch.nn.Linear(4, 2)
    folder = _at(target, "torch", torch.__version__)
    torch.save(net.state_dict(), os.path.join(folder, "net.pth"))
    if not torch.__version__.startswith("1."):
        # Before 1.6 the source of the class was kept too, with the path of its file.
        torch.save(net, os.path.join(folder, "whole.pth"))
    script = os.path.join(folder, "script.pt")
    torch.jit.save(torch.jit.trace(net, torch.zeros(1, 4)), script)
    _without_paths(script)


def tensorflow(target):
    import shutil
    import tempfile

    import tensorflow as tf

    folder = _at(target, "tensorflow", tf.__version__)
    saved = os.path.join(tempfile.mkdtemp(), "saved")
    if tf.__version__.startswith("1."):
        with tf.Graph().as_default(), tf.Session() as session:
            x = tf.placeholder(tf.float32, [None, 4], name="x")
            y = tf.matmul(x, tf.Variable(tf.ones([4, 2])))
            session.run(tf.global_variables_initializer())
            tf.saved_model.simple_save(session, saved, {"x": x}, {"y": y})
    else:

        class Net(tf.Module):
            def __init__(self):
                super(Net, self).__init__()
                self.w = tf.Variable(tf.ones([4, 2]))

            @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
            def __call__(self, x):
                return {"y": tf.matmul(x, self.w)}

        class Calling(Net):
            @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
            def __call__(self, x):
                return {"y": tf.py_function(lambda v: v, [x], tf.float32)}

        class Reading(Net):
            @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
            def __call__(self, x):
                return {"y": tf.io.read_file("/etc/hostname")}

        for kind, name in ((Calling, "py_function.pb"), (Reading, "read_file.pb")):
            net = kind()
            other = os.path.join(tempfile.mkdtemp(), "saved")
            tf.saved_model.save(net, other, signatures=net.__call__)
            shutil.copy(os.path.join(other, "saved_model.pb"), os.path.join(folder, name))
        net = Net()
        tf.saved_model.save(net, saved, signatures=net.__call__)
    shutil.copy(os.path.join(saved, "saved_model.pb"), os.path.join(folder, "saved_model.pb"))
    shutil.copy(os.path.join(saved, "variables", "variables.index"), os.path.join(folder, "variables.index"))
    keras = tf.keras
    # Its bytecode is kept in the file, and with it the name of where it stands.
    twice_of = eval(compile("lambda v: v * 2", "net.py", "eval"))
    plain = keras.Sequential([keras.layers.Dense(2, input_shape=(4,))])
    twice = keras.Sequential([keras.layers.Dense(2, input_shape=(4,)), keras.layers.Lambda(twice_of)])
    endings = [".h5"] + ([".keras"] if hasattr(keras, "__version__") and keras.__version__.startswith("3") else [])
    for ending in endings:
        if tf.__version__.startswith("1."):
            plain.compile("sgd", "mse")
            twice.compile("sgd", "mse")
        plain.save(os.path.join(folder, "net" + ending))
        twice.save(os.path.join(folder, "lambda" + ending))
    if tf.__version__.startswith("2.1."):
        whole = os.path.join(tempfile.mkdtemp(), "saved")
        twice.save(whole, save_format="tf")
        shutil.copy(os.path.join(whole, "saved_model.pb"), os.path.join(folder, "lambda.pb"))

    if tf.__version__ == "2.21.0":
        called = net.__call__.get_concrete_function(tf.TensorSpec([1, 4], tf.float32))
        with open(os.path.join(folder, "net.tflite"), "wb") as file:
            file.write(tf.lite.TFLiteConverter.from_concrete_functions([called], net).convert())


def h5py(target):
    import h5py
    import numpy

    layers = [{"class_name": "Lambda", "config": {"name": "twice"}}]
    model = json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": layers}})
    folder = _at(target, "h5py", h5py.__version__)
    # The newest form; many attributes in the old form (several blocks) and in the newest one (a heap of their own).
    for name, options, fillers in (
        ("latest", {"libver": "latest"}, 0),
        ("many", {}, 12),
        ("dense", {"libver": "latest"}, 12),
    ):
        with h5py.File(os.path.join(folder, name + ".h5"), "w", **options) as file:
            for index in range(fillers):
                file.attrs["filler%d" % index] = "x" * 40
            file.attrs["keras_version"] = "3.15.1"
            file.attrs["model_config"] = model
    with h5py.File(os.path.join(folder, "fixed.h5"), "w") as file:
        file.attrs["keras_version"] = numpy.bytes_(b"2.2.4-tf")
        file.attrs["model_config"] = numpy.bytes_(model.encode())
    with h5py.File(os.path.join(folder, "behind.h5"), "w", userblock_size=512) as file:
        file.attrs["model_config"] = model
    with h5py.File(os.path.join(folder, "data.h5"), "w") as file:
        file["x"] = [1, 2, 3]


def mxnet(target):
    import mxnet
    from mxnet.gluon import nn

    net = nn.HybridSequential()
    with net.name_scope():
        net.add(nn.Dense(2, in_units=4))
    net.initialize()
    net.hybridize()
    net(mxnet.nd.zeros((1, 4)))
    net.export(os.path.join(_at(target, "mxnet", mxnet.__version__), "net"))


def mindspore(target):
    import mindspore
    import numpy

    net = mindspore.nn.Dense(4, 2)
    folder = _at(target, "mindspore", mindspore.__version__)
    mindspore.save_checkpoint(net, os.path.join(folder, "net.ckpt"))
    mindspore.export(
        net,
        mindspore.Tensor(numpy.zeros((1, 4), dtype="float32")),
        file_name=os.path.join(folder, "net"),
        file_format="MINDIR",
    )


def spark(target):
    import glob
    import shutil
    import tempfile

    import pyspark
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    rows = session.createDataFrame([(0.0, 1.0, 0.0), (1.0, 0.0, 1.0)], ["a", "b", "label"])
    stages = [VectorAssembler(inputCols=["a", "b"], outputCol="features"), LogisticRegression(maxIter=2)]
    saved = os.path.join(tempfile.mkdtemp(), "spark_model")
    Pipeline(stages=stages).fit(rows).write().save(saved)
    for path in glob.glob(os.path.join(saved, "**", "metadata", "part-*"), recursive=True):
        kept = _at(target, "spark", pyspark.__version__, os.path.relpath(path, os.path.dirname(saved)))
        kept = os.path.join(os.path.dirname(kept), os.path.basename(kept).split("-")[0] + "-00000")
        if not os.path.isdir(os.path.dirname(kept)):
            os.makedirs(os.path.dirname(kept))
        shutil.copy(path, kept)
    session.stop()


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
