"""Write messages.csv beside this file: short messages to a shop, put together from parts (Python 3.10 or newer)."""

import csv
import itertools
import random
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

OPENINGS = ["", "hello, ", "please help: ", "good morning, ", "once more: "]
PARTS = {
    "delivery": (
        ["the parcel", "my order", "the package", "the delivery", "the courier"],
        ["has not arrived", "is three days late", "went to the wrong address", "was left in the rain", "never came"],
    ),
    "payment": (
        ["the invoice", "my card", "the refund", "the last bill", "the bank transfer"],
        ["was charged twice", "shows a wrong amount", "has not been booked", "was declined", "is missing the discount"],
    ),
    "fault": (
        ["the lamp", "my kettle", "the heater", "the screen", "the charger"],
        ["does not switch on", "is broken", "makes a loud noise", "gets too hot", "stopped working yesterday"],
    ),
}


def main():
    """Write each combination once, in an order that has no pattern and is always the same."""
    rows = [
        ("".join([opening, what, " ", how]), kind)
        for kind, parts in PARTS.items()
        for opening, what, how in itertools.product(OPENINGS, *parts)
    ]
    random.Random(0).shuffle(rows)
    with open(FOLDER / "messages.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["text", "kind"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
