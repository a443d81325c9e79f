"""Base class of CatBoost packages.

The model file is one that CatBoost writes (``save_model``, the form ``cbm``), or a joblib dump of one of its models or
of a pipeline that ends in one. The default service answers the class of each row where the model knows classes, else
the value. Requests and answers are those of ``python_model_service``.
"""

from __future__ import absolute_import

import os

from model_service.model_service import lazy
from model_service.python_model_service import XgSklServingBaseService, load_joblib, predict_of

# How every file of the form `cbm` begins.
CBM_OPENING = b"CBM1"
# Objectives whose models give the logarithm of what they predict.
_EXPONENTS = ("Poisson", "Tweedie", "LogLinQuantile")


class CatBoostServingBaseService(XgSklServingBaseService):
    """``_preprocess`` receives the raw JSON text; ``self.model_path`` is the one ``*.cbm`` or ``*.m`` file."""

    @lazy
    def airlock_predict(self):
        """The function from rows to predictions, made from the model file."""
        return _predictor(_load(self.model_path))


def _load(path):
    import catboost

    with open(path, "rb") as stream:
        of_catboost = stream.read(len(CBM_OPENING)) == CBM_OPENING
    if not of_catboost:
        return load_joblib(path)
    model = catboost.CatBoost()
    model.load_model(path)
    return model


def _predictor(model):
    import catboost

    if isinstance(model, catboost.CatBoost):
        # It asks for every processor of the machine unless told how many there are for it.
        options = {"thread_count": int(os.environ.get("OMP_NUM_THREADS") or -1)}
        if type(model) is catboost.CatBoost:
            options["prediction_type"] = _prediction_type(model)

        def predict(rows):
            return _flat(model.predict(rows, **options))
    else:
        of_model = predict_of(model)

        def predict(rows):
            return _flat(of_model(rows))

    return predict


def _prediction_type(model):
    """Return what a model that was saved without its Python class shall predict."""
    if len(model.classes_):
        return "Class"
    objective = model.get_all_params().get("loss_function") or ""
    return "Exponent" if objective.split(":")[0] in _EXPONENTS else "RawFormulaVal"


def _flat(values):
    # Classes come as a column where there are more than two, and as a row where there are two.
    if getattr(values, "ndim", 1) == 2 and values.shape[1] == 1:
        return values.reshape(-1)
    return values
