"""Write iris.csv and digits.csv beside this file from the data that scikit-learn ships (Python 3.10 or newer)."""

import csv
from pathlib import Path

from sklearn.datasets import load_digits, load_iris

FOLDER = Path(__file__).resolve().parent


def write_csv(name, header, rows):
    """Write one table with a header line and Unix line ends."""
    with open(str(FOLDER / name), "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main():
    """Write both tables."""
    iris = load_iris()
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
    write_csv(
        "iris.csv",
        names,
        [["%g" % value for value in row] + [int(kind)] for row, kind in zip(iris.data, iris.target, strict=True)],
    )
    digits = load_digits()
    names = ["pixel_%d_%d" % (row, column) for row in range(8) for column in range(8)] + ["digit"]
    write_csv(
        "digits.csv",
        names,
        [[int(value) for value in row] + [int(digit)] for row, digit in zip(digits.data, digits.target, strict=True)],
    )


if __name__ == "__main__":
    main()
