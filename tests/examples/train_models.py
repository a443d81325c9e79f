"""Trains a model of every kind that the interpreter's libraries have, and saves each as people do.

    python train_models.py FOLDER [--broad] [--only LIBRARY]

Runs inside a runtime's environment and needs nothing of the project; Python 3.6 is enough. Each file is
`<library>/<kind>.<way>`; what cannot be trained is told on standard error and does not matter. --broad saves each model
in several ways.
"""

import contextlib
import os
import pickle
import sys
import warnings

warnings.simplefilter("ignore")
os.environ.setdefault("OMP_NUM_THREADS", "1")
skipped = []


def main():
    out, broad = sys.argv[1], "--broad" in sys.argv[2:]
    counts = []
    only = sys.argv[-1] if "--only" in sys.argv else ""
    for name, train in LIBRARIES:
        if only not in ("", name):
            continue
        try:
            __import__(name)
        except ImportError:
            continue
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        count = 0
        for kind, save in train(broad):
            try:
                count += save(folder, kind)
            except Exception as error:
                skipped.append(f"{name}: {kind}: {first_line(error)}")
        counts.append(f"{name} {sys.modules[name].__version__}: {count} files")
    sys.stderr.write("".join(f"skipped {each}\n" for each in skipped))
    print("\n".join(counts))


def attempt(kind, make):
    """The result of a call, or None where the library refuses."""
    try:
        return make()
    except Exception as error:
        skipped.append(f"{kind}: {first_line(error)}")
        return None


def first_line(error):
    return (str(error) or repr(error)).splitlines()[0][:100]


def pickled(model, broad):
    """A saver for a Python object: joblib and pickle, the way that its documentation shows."""

    def save(folder, kind):
        try:
            import joblib
        except ImportError:
            from sklearn.externals import joblib
        ways = [("joblib", lambda path: joblib.dump(model, path))]
        if broad:
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                ways.append((f"p{protocol}.pkl", lambda path, p=protocol: dump(model, path, p)))
            ways.append(("z.joblib", lambda path: joblib.dump(model, path, compress=3)))
        elif len(kind) % 2:
            ways = [("p4.pkl", lambda path: dump(model, path, 4))]
        for way, write in ways:
            write(os.path.join(folder, kind + "." + way))
        return len(ways)

    return save


def dump(model, path, protocol):
    with open(path, "wb") as file:
        pickle.dump(model, file, protocol)


def tables():
    import numpy

    chance = numpy.random.RandomState(3)
    rows = chance.rand(60, 4)
    return rows, (rows[:, 0] + rows[:, 1] > 1).astype(int), rows[:, 0] * 3 + chance.rand(60)


# ── scikit-learn ─────────────────────────────────────────────────────────────────────────────────────────────────────

WORDS = ["one fine day", "two fine days", "three bad days", "one bad day"] * 15


def estimators():
    try:
        from sklearn.utils.discovery import all_estimators
    except ImportError:
        try:
            from sklearn.utils import all_estimators
        except ImportError:
            from sklearn.utils.testing import all_estimators
    with contextlib.suppress(ImportError):
        from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    return all_estimators()


def made(name, kind):
    """An instance with the least that its constructor asks for."""
    from sklearn.cluster import KMeans
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import MinMaxScaler, StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    classifier, regressor = LogisticRegression(), Ridge()
    named = [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=2))]
    numbers = [("a", Ridge()), ("b", Ridge(alpha=2))]
    arguments = {
        "ColumnTransformer": ([("a", StandardScaler(), [0, 1]), ("b", MinMaxScaler(), [2, 3])],),
        "FeatureUnion": ([("a", StandardScaler()), ("b", MinMaxScaler())],),
        "Pipeline": ([("scale", StandardScaler()), ("model", classifier)],),
        "GridSearchCV": (classifier, {"C": [0.1, 1]}),
        "RandomizedSearchCV": (classifier, {"C": [0.1, 1]}),
        "HalvingGridSearchCV": (classifier, {"C": [0.1, 1]}),
        "HalvingRandomSearchCV": (classifier, {"C": [0.1, 1, 2]}),
        "SparseCoder": (tables()[0][:4],),
        "StackingClassifier": (named,),
        "StackingRegressor": (numbers,),
        "VotingClassifier": (named,),
        "VotingRegressor": (numbers,),
        "FrozenEstimator": (classifier.fit(*tables()[:2]),),
    }
    if name in arguments:
        return kind(*arguments[name])
    try:
        return kind()
    except TypeError:
        for first in (classifier, regressor, KMeans()):
            try:
                return kind(first)
            except TypeError:
                continue
        raise


def train_sklearn(broad):
    rows, labels, numbers = tables()
    import numpy

    targets = {
        "y": labels,
        "numbers": numbers,
        "both": numpy.c_[labels, 1 - labels],
        "many": numpy.c_[numbers, numbers * 2],
        "rows": rows,
    }
    for name, kind in estimators():
        model = attempt(name, lambda name=name, kind=kind: made(name, kind))
        if model is None:
            continue
        if hasattr(model, "n_estimators"):
            model.n_estimators = 3
        if hasattr(model, "random_state"):
            model.random_state = 3
        fits = [
            lambda model=model: model.fit(rows, targets["y"]),
            lambda model=model: model.fit(rows, targets["numbers"]),
            lambda model=model: model.fit(rows),
            lambda model=model: model.fit(rows, targets["both"]),
            lambda model=model: model.fit(rows, targets["many"]),
            lambda model=model: model.fit(numbers, numbers),
            lambda model=model: model.fit(labels),
            lambda model=model: model.fit([["a", "b"], ["b"], ["a"]]),
            lambda model=model: model.fit(WORDS, labels),
            lambda model=model: model.fit([{"a": 1, "b": "x"}, {"a": 2}]),
            lambda model=model: model.fit(rows.dot(rows.T)),
        ]
        done = None
        for fit in fits:
            try:
                done = fit()
                break
            except Exception:
                continue
        if done is None:
            skipped.append(name + ": nothing fits")
            continue
        yield name, pickled(done, broad)
    for name, model in composed():
        yield name, pickled(model, broad)


def composed():
    """Models as they are put together in practice."""
    import numpy
    from sklearn import feature_selection, metrics, pipeline, preprocessing
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    rows, labels, _ = tables()
    mixed = numpy.array([["a", 1.0], ["b", 2.0], ["a", numpy.nan]] * 20, dtype=object)
    columns = ColumnTransformer([
        ("words", preprocessing.OneHotEncoder(handle_unknown="ignore"), [0]),
        ("numbers", pipeline.make_pipeline(SimpleImputer(), preprocessing.StandardScaler()), [1]),
    ])
    yield "mixed-columns", pipeline.make_pipeline(columns, LogisticRegression()).fit(mixed, labels)
    yield "text", pipeline.make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(WORDS, labels)
    selected = pipeline.make_pipeline(
        feature_selection.SelectKBest(feature_selection.f_classif, k=2), RandomForestClassifier(n_estimators=3)
    )
    yield "selected", selected.fit(rows, labels)
    for name in ("log1p", "exp", "sqrt", "abs", "sin", "square", "nan_to_num"):
        yield "function-" + name, preprocessing.FunctionTransformer(getattr(numpy, name)).fit(rows)
    scorers = ("accuracy", "f1", "roc_auc", "neg_log_loss", "balanced_accuracy", "precision", "average_precision")
    for scoring in scorers:
        search = GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=StratifiedKFold(2), scoring=scoring)
        yield "search-" + scoring, search.fit(rows, labels)
    yield "scorer", metrics.make_scorer(metrics.f1_score, average="macro")
    for loss in ("log_loss", "exponential"):
        model = attempt(loss, lambda loss=loss: GradientBoostingClassifier(loss=loss, n_estimators=2).fit(rows, labels))
        if model is not None:
            yield "boosting-" + loss, model
    plain = LogisticRegression().fit(rows, labels)
    yield "dictionary", {"model": plain, "columns": ["a", "b"], "mean": rows.mean(axis=0)}
    yield "labels", preprocessing.LabelEncoder().fit(["a", "b"])
    yield "array", rows
    yield "array-of-objects", mixed
    yield "record-array", numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    yield "generator", numpy.random.RandomState(1)
    for name, model in kernels():
        yield "kernel-" + name, model
    for name, model in frames():
        yield "frame-" + name, model
    for name, model in plain_values():
        yield "plain-" + name, model


def kernels():
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor, kernels

    rows, labels, numbers = tables()
    combined = 2.0 * kernels.RBF() + kernels.WhiteKernel() * kernels.Matern() + kernels.RationalQuadratic() ** 2
    yield "regressor", GaussianProcessRegressor(combined, optimizer=None).fit(rows, numbers)
    yield "classifier", GaussianProcessClassifier(kernels.DotProduct() + kernels.ExpSineSquared()).fit(rows, labels)


def frames():
    try:
        import pandas
    except ImportError:
        return
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pandas.DataFrame({"a": [1.0, 2.0, 3.0] * 4, "b": ["x", "y", "z"] * 4, "c": [True, False, True] * 4})
    frame["d"] = frame["b"].astype("category")
    frame["e"] = pandas.date_range("2020-01-01", periods=12)
    columns = make_column_transformer((StandardScaler(), ["a"]), (OneHotEncoder(), ["b", "d"]))
    yield "model", make_pipeline(columns, LogisticRegression()).fit(frame, frame["c"])
    selector = make_column_transformer((StandardScaler(), make_column_selector(dtype_include="float")))
    yield "selector", selector.fit(frame)
    yield "itself", frame
    yield "column", frame["a"]
    yield "index", frame.set_index(["a", "b"]).index
    yield "dates", frame.set_index("e")["a"]
    yield "nullable", frame[["a", "c"]].convert_dtypes()
    yield "moments", [pandas.Timestamp("2020-01-01"), pandas.Timedelta(1), pandas.NA, pandas.NaT]
    yield "categories", [frame.set_index("d"), frame.groupby("d", observed=True)["a"].mean()]
    yield "durations", [pandas.timedelta_range("1 days", periods=3), pandas.to_timedelta([1, 2], unit="s")]
    yield "spans", [pandas.interval_range(0, 3), pandas.period_range("2020", periods=2, freq="D"), frame["e"].diff()]


def plain_values():
    import collections
    import datetime
    import decimal

    import numpy

    yield "types", [type(None), int, float, str, dict, numpy.float32, numpy.ndarray]
    yield "dates", [datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3), datetime.timedelta(1)]
    yield "numbers", [decimal.Decimal("1.5"), 1 + 2j, numpy.float32(1), numpy.int64(2), numpy.bool_(True)]
    yield "boxes", [collections.OrderedDict(a=1), collections.defaultdict(list), collections.deque([1]), {1}]
    yield "others", [b"a", bytearray(b"b"), slice(1, 2), range(3), numpy.str_("a"), NotImplemented, Ellipsis]


# ── gradient boosting ────────────────────────────────────────────────────────────────────────────────────────────────


def train_xgboost(broad):
    import xgboost

    rows, labels, numbers = tables()
    matrix = xgboost.DMatrix(rows, label=labels)
    parameters = {"objective": "binary:logistic"}
    yield "booster", pickled(xgboost.train(parameters, matrix, 3), broad)
    booster = xgboost.train(parameters, matrix, 3)
    for ending in ("json", "ubj", "m"):
        yield "raw-" + ending, lambda folder, kind, e=ending: booster.save_model(os.path.join(folder, "raw." + e)) or 1
    for name, target in (
        ("XGBClassifier", labels), ("XGBRegressor", numbers), ("XGBRFClassifier", labels), ("XGBRFRegressor", numbers),
    ):  # fmt: skip
        model = getattr(xgboost, name)(n_estimators=3).fit(rows, target)
        yield name, pickled(model, broad)
    yield "ranker", pickled(xgboost.XGBRanker(n_estimators=2).fit(rows, labels, group=[30, 30]), broad)
    for name in ("gblinear", "dart"):
        yield name, pickled(xgboost.XGBRegressor(n_estimators=2, booster=name).fit(rows, numbers), broad)
    stopped = attempt("early", lambda: xgboost.XGBClassifier(n_estimators=3, early_stopping_rounds=2))
    if stopped is not None:
        yield "early-stopping", pickled(stopped.fit(rows, labels, eval_set=[(rows, labels)], verbose=False), broad)
    try:
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        return
    search = GridSearchCV(xgboost.XGBClassifier(n_estimators=2), {"max_depth": [1, 2]}, cv=2)
    yield "pipeline", pickled(make_pipeline(StandardScaler(), search).fit(rows, labels), broad)


def train_lightgbm(broad):
    import lightgbm

    rows, labels, numbers = tables()
    quiet = {"verbose": -1}
    booster = lightgbm.train(dict(quiet, objective="binary"), lightgbm.Dataset(rows, labels), 3)
    yield "booster", pickled(booster, broad)
    yield "raw", lambda folder, kind: booster.save_model(os.path.join(folder, "raw.txt")) and 1
    for name, target in (("LGBMClassifier", labels), ("LGBMRegressor", numbers)):
        yield name, pickled(getattr(lightgbm, name)(n_estimators=3, **quiet).fit(rows, target), broad)
    yield "ranker", pickled(lightgbm.LGBMRanker(n_estimators=2, **quiet).fit(rows, labels, group=[30, 30]), broad)
    stopped = lightgbm.LGBMClassifier(n_estimators=3, **quiet)
    stopped.fit(rows, labels, eval_set=[(rows, labels)], callbacks=[lightgbm.early_stopping(2, verbose=False)])
    yield "early-stopping", pickled(stopped, broad)


def train_catboost(broad):
    import catboost

    rows, labels, numbers = tables()
    for name, target in (("CatBoostClassifier", labels), ("CatBoostRegressor", numbers), ("CatBoost", numbers)):
        parameters = {"iterations": 3, "verbose": False, "allow_writing_files": False}
        model = catboost.CatBoost(parameters) if name == "CatBoost" else getattr(catboost, name)(**parameters)
        yield name, pickled(model.fit(rows, target), broad)
        yield name + "-raw", lambda folder, kind, m=model: m.save_model(os.path.join(folder, kind + ".cbm")) or 1


# ── PyTorch ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def saved(model, **options):
    def save(folder, kind):
        import torch

        torch.save(model, os.path.join(folder, kind + ".pth"), **options)
        return 1

    return save


def layers():
    """Every layer and loss of torch.nn, with the least that its constructor asks for."""
    import inspect

    from torch import nn

    arguments = {
        "Sequential": lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)),
        "ModuleList": lambda: nn.ModuleList([nn.Linear(2, 2)]),
        "ModuleDict": lambda: nn.ModuleDict({"a": nn.Linear(2, 2)}),
        "ParameterList": lambda: nn.ParameterList([nn.Parameter(nn.Linear(2, 2).weight)]),
        "ParameterDict": lambda: nn.ParameterDict({"a": nn.Linear(2, 2).weight}),
        "TransformerEncoder": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 1),
        "TransformerDecoder": lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2), 1),
        "Transformer": lambda: nn.Transformer(4, 2, 1, 1, 8),
        "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2),
        "FractionalMaxPool2d": lambda: nn.FractionalMaxPool2d(2, output_size=3),
        "FractionalMaxPool3d": lambda: nn.FractionalMaxPool3d(2, output_size=3),
        "DataParallel": lambda: nn.DataParallel(nn.Linear(2, 2)),
        "Unflatten": lambda: nn.Unflatten(1, (2, 2)),
        "AdaptiveLogSoftmaxWithLoss": lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5]),
        "GroupNorm": lambda: nn.GroupNorm(2, 4),
    }
    for name in sorted(dir(nn)):
        kind = getattr(nn, name)
        if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
            continue
        for make in (arguments.get(name), kind, *(lambda n=n, k=kind: k(*[2] * n) for n in (1, 2, 3))):
            if make is None:
                continue
            try:
                yield name, make()
                break
            except Exception:
                continue


def train_torch(broad):
    import torch
    from torch import nn

    for name, layer in layers():
        yield name, saved(layer)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))
    data, target = torch.rand(8, 4), torch.randint(0, 2, (8,))
    for name in sorted(dir(torch.optim)):
        kind = getattr(torch.optim, name)
        if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)) or name == "Optimizer":
            continue
        optimizer = attempt(name, lambda kind=kind: kind(net.parameters(), lr=0.01))
        if optimizer is None:
            continue

        def step(optimizer=optimizer):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(data), target)
            loss.backward()
            return loss

        attempt(name, lambda optimizer=optimizer, step=step: optimizer.step(step))
        yield "optimizer-" + name, saved(optimizer)
        yield "checkpoint-" + name, saved({"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3})
    schedulers = [
        torch.optim.lr_scheduler.StepLR(optimizer, 2),
        torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer),
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3),
    ]
    yield "schedulers", saved([each.state_dict() for each in schedulers])
    yield "state", saved(net.state_dict())
    yield "state-legacy", saved(net.state_dict(), _use_new_zipfile_serialization=False)
    yield "net-legacy", saved(net, _use_new_zipfile_serialization=False)
    yield "net-protocol-4", saved(net, pickle_protocol=4)
    types = [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.bool, torch.complex64]
    yield "types", saved({str(each): torch.zeros(3).to(each) for each in types})
    yield "type-names", saved([*types[:4], torch.Size([1, 2])])
    yield "sparse", saved([torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr()])
    yield "quantized", saved(torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8))
    yield "half", saved(net.half().state_dict())
    lstm = nn.LSTM(3, 4, 2, bidirectional=True)
    yield "lstm", saved(lstm)
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 2), nn.ReLU()).eval())
    yield "scripted", lambda folder, kind: scripted.save(os.path.join(folder, "scripted.pt")) or 1
    traced = torch.jit.trace(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval(), torch.rand(1, 1, 5, 5))
    yield "traced", lambda folder, kind: traced.save(os.path.join(folder, "traced.pt")) or 1
    yield "spectral", saved(attempt("spectral", lambda: nn.utils.spectral_norm(nn.Linear(2, 2))))


LIBRARIES = [
    ("sklearn", train_sklearn),
    ("xgboost", train_xgboost),
    ("lightgbm", train_lightgbm),
    ("catboost", train_catboost),
    ("torch", train_torch),
]

if __name__ == "__main__":
    main()
