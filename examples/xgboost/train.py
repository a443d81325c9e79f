"""Train boosted trees on iris and save the booster as iris.m (XGBoost 0.80 to today's)."""

import os
import sys

import numpy as np
import xgboost

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also the engine's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

PARAMETERS = {"objective": "multi:softmax", "num_class": 3, "max_depth": 3, "eta": 0.3, "nthread": 1, "seed": 0}
# Releases up to 0.80 tell about every tree unless they are told not to, by a name that later ones do not know.
QUIET = {"silent": 1} if xgboost.__version__.startswith("0.") else {"verbosity": 1}
ROUNDS = 20


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    rows, kinds = training.read_table("iris")
    test = training.held_out(len(rows))
    booster = xgboost.train(dict(PARAMETERS, **QUIET), xgboost.DMatrix(rows[~test], label=kinds[~test]), ROUNDS)
    metrics = training.measure(kinds[test], booster.predict(xgboost.DMatrix(rows[test])))
    booster.save_model(os.path.join(out, "iris.m"))

    responses = {}
    for name, request in training.read_samples(HERE).items():
        columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
        values = np.array([[row[column] for column in columns] for row in request["data"]["req_data"]])
        predicted = booster.predict(xgboost.DMatrix(values)).tolist()
        responses[name] = {"data": {"resp_data": [{"predictresult": kind} for kind in predicted]}}
    training.write_report(out, xgboost.__version__, metrics, responses)


if __name__ == "__main__":
    main()
