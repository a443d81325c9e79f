"""Train boosted trees on iris and save the booster as iris.lgb (LightGBM 4)."""

import os
import sys

import lightgbm
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also the engine's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

PARAMETERS = {
    "objective": "multiclass",
    "num_class": 3,
    "num_leaves": 7,
    "min_data_in_leaf": 5,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
    "verbosity": -1,
}
ROUNDS = 20
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SPECIES = ["setosa", "versicolor", "virginica"]


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    rows, kinds = training.read_table("iris")
    test = training.held_out(len(rows))
    table = lightgbm.Dataset(rows[~test], label=kinds[~test], feature_name=COLUMNS)
    booster = lightgbm.train(PARAMETERS, table, ROUNDS)
    metrics = training.measure(kinds[test], booster.predict(rows[test]).argmax(axis=1))
    booster.save_model(os.path.join(out, "iris.lgb"))

    responses = {}
    for name, request in training.read_samples(HERE).items():
        values = np.array([[row[column] for column in COLUMNS] for row in request["data"]["req_data"]])
        chances = booster.predict(values)
        responses[name] = {"data": {"resp_data": [{"predictresult": row} for row in chances.tolist()]}}
        # The package with inference code of its own answers the same requests by name.
        responses["with_code/" + name] = {
            "data": {"resp_data": [{"predictresult": SPECIES[kind]} for kind in chances.argmax(axis=1)]}
        }
    training.write_report(out, lightgbm.__version__, metrics, responses)


if __name__ == "__main__":
    main()
