"""Train boosted trees on iris and save them as iris.cbm, which knows the species by name (CatBoost 1.2)."""

import os
import sys

import catboost
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
# At the end of the path: this folder's name is also the engine's.
sys.path.append(os.path.dirname(HERE))

import training  # noqa: E402  (its folder is on the path only now)

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SPECIES = np.array(["setosa", "versicolor", "virginica"])


def main():
    """Train, measure, answer the samples, save."""
    out = training.parse_arguments(__doc__)
    rows, kinds = training.read_table("iris")
    names = SPECIES[kinds]
    test = training.held_out(len(rows))
    model = catboost.CatBoostClassifier(
        iterations=40,
        depth=3,
        learning_rate=0.3,
        random_seed=0,
        thread_count=1,
        verbose=False,
        # Else it writes a folder of logs where it stands.
        allow_writing_files=False,
    )
    model.fit(catboost.Pool(rows[~test], names[~test], feature_names=COLUMNS))
    # When and as what it was trained stands in the file; without that, training again gives the same bytes.
    facts = model.get_metadata()
    facts["train_finish_time"], facts["model_guid"] = "", ""
    metrics = training.measure(names[test], model.predict(rows[test]).reshape(-1))
    model.save_model(os.path.join(out, "iris.cbm"))

    responses = {}
    for name, request in training.read_samples(HERE).items():
        values = [[row[column] for column in COLUMNS] for row in request["data"]["req_data"]]
        predicted = model.predict(values).reshape(-1).tolist()
        responses[name] = {"data": {"resp_data": [{"predictresult": species} for species in predicted]}}
    training.write_report(out, catboost.__version__, metrics, responses)


if __name__ == "__main__":
    main()
