"""Base class of Scikit_Learn and XGBoost packages.

The default service reads ``{"data": {"req_data": [{column: value, ...}, ...]}}``, predicts on the rows in the order of
their columns, and answers ``[{"predictresult": value}, ...]``. The model file is a joblib dump or an XGBoost booster.
"""

from __future__ import absolute_import

import collections
import json
import sys
import warnings

from model_service.log import getLogger
from model_service.model_service import SingleNodeService, lazy

_logger = getLogger(__name__)
# Columns count in the order of the request, which a plain dict keeps since Python 3.7, and is parsed faster.
_parse = json.loads if sys.version_info >= (3, 7) else json.JSONDecoder(object_pairs_hook=collections.OrderedDict).decode


class XgSklServingBaseService(SingleNodeService):
    """``_preprocess`` receives the raw JSON text; ``self.model_path`` is the one ``*.m`` file."""

    airlock_reads = "text"
    airlock_serves_alone = True
    airlock_arguments = ("model_path",)

    def __init__(self, model_path):
        self.model_path = model_path

    def airlock_prepare(self):
        """Load the model file at start, so that an unreadable one fails the start and not the first request."""
        return self.airlock_predict

    def _preprocess(self, data):
        document = _parse(data)
        return [list(row.values()) for row in document["data"]["req_data"]]

    def _inference(self, data):
        return self.airlock_predict(data)

    def _postprocess(self, data):
        values = data.tolist() if hasattr(data, "tolist") else data
        return [{"predictresult": value} for value in values]

    @lazy
    def airlock_predict(self):
        """The function from rows to predictions, made from the model file."""
        return _predictor(_load(self.model_path))


def _load(path):
    """Return the model: by joblib, else as a booster.

    Raises:
        RuntimeError: Neither could read the file; the message gives both reasons.
    """
    try:
        return load_joblib(path)
    except Exception as error:
        by_joblib = "%s: %s" % (type(error).__name__, error)
    try:
        import xgboost

        return xgboost.Booster(model_file=path)
    except Exception as error:
        raise RuntimeError(
            "%s is neither a joblib dump (%s) nor an XGBoost booster (%s: %s)"
            % (path, by_joblib, type(error).__name__, error)
        )


def load_joblib(path):
    """Return what a joblib dump holds, read by the copy of joblib that this runtime has."""
    # scikit-learn below 0.23 brings joblib along, and dumps written by that copy can only be read by it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from sklearn.externals import joblib
        except ImportError:
            import joblib
    return joblib.load(path)


def _predictor(model):
    module = type(model).__module__ or ""
    if type(model).__name__ == "Booster" and module.split(".")[0] == "xgboost":
        return _booster_predictor(model)
    return predict_of(model)


def predict_of(model):
    """Return the model's own ``predict``.

    Raises:
        TypeError: It has none.
    """
    if not hasattr(model, "predict"):
        raise TypeError("the model file holds a %s, which has no predict()" % type(model).__name__)
    return model.predict


def _booster_predictor(booster):
    import numpy
    import xgboost

    # Boosters of newer versions remember the training columns and refuse a matrix without names.
    names = getattr(booster, "feature_names", None)

    def predict(rows):
        rows = numpy.asarray(rows, dtype="float32")
        if names and rows.ndim == 2 and rows.shape[1] == len(names):
            return booster.predict(xgboost.DMatrix(rows, feature_names=names))
        return booster.predict(xgboost.DMatrix(rows))

    return predict
