"""What the training scripts share: tables, the held-out rows, figures, and the report.

Runs inside the runtimes too, on Python 2.7 and newer, with NumPy and nothing else.
"""

import argparse
import csv
import json
import os
import platform

import numpy as np

EXAMPLES = os.path.dirname(os.path.abspath(__file__))
REPORT = "training.json"
HELD_OUT_EVERY = 5


def parse_arguments(description):
    """Read ``--out FOLDER`` from the command line; the folder is made when it does not exist."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder for the model file and " + REPORT)
    folder = parser.parse_args().out
    if not os.path.isdir(folder):
        os.makedirs(folder)
    return folder


def read_table(name):
    """Read ``examples/data/NAME.csv``.

    Returns:
        The rows without their last column as float64, shape (rows, columns - 1), and the last column as int64.
    """
    with open(os.path.join(EXAMPLES, "data", name + ".csv")) as stream:
        rows = list(csv.reader(stream))[1:]
    table = np.array(rows, dtype=np.float64)
    return table[:, :-1], table[:, -1].astype(np.int64)


def held_out(count):
    """Say which of ``count`` rows are kept for measuring: every fifth, the same ones on each run."""
    return np.arange(count) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def measure(expected, predicted):
    """Compare labels on the held-out rows.

    Returns:
        Accuracy, and the unweighted means over the classes of precision, recall and F1; all between 0 and 1.
    """
    expected = np.asarray(expected)
    predicted = np.asarray(predicted)
    precisions, recalls, f1s = [], [], []
    for label in np.unique(expected):
        hits = float(np.sum((predicted == label) & (expected == label)))
        precision = hits / max(float(np.sum(predicted == label)), 1.0)
        recall = hits / float(np.sum(expected == label))
        precisions.append(precision)
        recalls.append(recall)
        f1s.append(2 * precision * recall / max(precision + recall, 1e-12))
    return {
        "f1": float(np.mean(f1s)),
        "recall": float(np.mean(recalls)),
        "precision": float(np.mean(precisions)),
        "accuracy": float(np.mean(predicted == expected)),
    }


def read_samples(folder):
    """Read the requests ``FOLDER/samples/*.json``, by name without the suffix; files to upload lie beside them."""
    samples = {}
    for entry in sorted(os.listdir(os.path.join(folder, "samples"))):
        if entry.endswith(".json"):
            with open(os.path.join(folder, "samples", entry)) as stream:
                samples[entry[: -len(".json")]] = json.load(stream)
    return samples


def write_report(folder, engine_version, metrics, responses):
    """Write the figures and the trained model's own answers to the samples.

    Args:
        folder: The folder that holds the model file.
        engine_version: The engine's version, as it says itself.
        metrics: The figures for config.json.
        responses: The response body that the service must give, by sample name; for a further package of the same
            model by its folder's name, a slash, and the sample's name.
    """
    report = {
        "engine_version": engine_version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "metrics": metrics,
        "responses": responses,
    }
    with open(os.path.join(folder, REPORT), "w") as stream:
        json.dump(report, stream, indent=2, sort_keys=True)
        stream.write("\n")
