"""Base class of LightGBM packages.

The model file is a booster as LightGBM writes it (``save_model``, a text), or a joblib dump of a booster, of one of its
scikit-learn estimators, or of a pipeline that ends in one. The default service answers what the model's own ``predict``
gives: an estimator its labels or values, a booster its values, which are one list of probabilities per row where it was
trained for several classes. Requests and answers are those of ``python_model_service``.
"""

from __future__ import absolute_import

from model_service.model_service import lazy
from model_service.python_model_service import XgSklServingBaseService, load_joblib, predict_of

# How every text of a booster begins.
BOOSTER_OPENING = b"tree\n"
# Fewer rows are predicted on one thread.
FEW_ROWS = 1000


class LightGbmServingBaseService(XgSklServingBaseService):
    """``_preprocess`` receives the raw JSON text; ``self.model_path`` is the one ``*.lgb`` or ``*.m`` file."""

    @lazy
    def airlock_predict(self):
        """The function from rows to predictions, made from the model file."""
        return _predictor(_load(self.model_path))


def _load(path):
    import lightgbm

    with open(path, "rb") as stream:
        text = stream.read(len(BOOSTER_OPENING)) == BOOSTER_OPENING
    return lightgbm.Booster(model_file=path) if text else load_joblib(path)


def _predictor(model):
    import lightgbm

    if isinstance(model, lightgbm.LGBMModel):
        return lambda rows: model.predict(rows, **_options(rows))
    if not isinstance(model, lightgbm.Booster):
        return predict_of(model)

    def predict(rows):
        import numpy

        # Of plain lists LightGBM takes numbers only; this way a null of the request is a missing value.
        return model.predict(numpy.asarray(rows, dtype="float64"), **_options(rows))

    return predict


def _options(rows):
    # Waking and joining threads takes longer than some rows do: on a busy machine a thousand times as long.
    return {"num_threads": 1} if len(rows) < FEW_ROWS else {}
