"""Train a logistic regression on iris and save it with joblib as iris.m (scikit-learn 0.18 to today's)."""

import os
import sys

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

try:
    import joblib
except ImportError:  # scikit-learn of that time carries joblib inside
    from sklearn.externals import joblib

SPECIES = np.array(["setosa", "versicolor", "virginica"])


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    rows, kinds = training.read_table("iris")
    names = SPECIES[kinds]
    test = training.held_out(len(rows))
    model = LogisticRegression(max_iter=1000, random_state=0)
    model.fit(rows[~test], names[~test])
    metrics = training.measure(names[test], model.predict(rows[test]))
    joblib.dump(model, os.path.join(out, "iris.m"))

    responses = {}
    for name, request in training.read_samples(HERE).items():
        columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
        values = [[row[column] for column in columns] for row in request["data"]["req_data"]]
        responses[name] = {
            "data": {"resp_data": [{"predictresult": species} for species in model.predict(values).tolist()]}
        }
    training.write_report(out, sklearn.__version__, metrics, responses)


if __name__ == "__main__":
    main()
