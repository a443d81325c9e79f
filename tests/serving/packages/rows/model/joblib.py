"""Stands for joblib: the "model" is a JSON file of weights."""
import json


class Linear(object):
    def __init__(self, weights):
        self.weights = weights

    def predict(self, rows):
        return [sum(weight * value for weight, value in zip(self.weights, row)) for row in rows]


def load(path):
    with open(path) as stream:
        return Linear(json.load(stream)["weights"])
