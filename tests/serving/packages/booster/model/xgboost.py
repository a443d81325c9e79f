class DMatrix(object):
    def __init__(self, rows, feature_names=None):
        self.rows, self.names = rows, feature_names


class Result(list):
    def tolist(self):
        return list(self)


class Booster(object):
    feature_names = ["a", "b"]

    def __init__(self, model_file):
        with open(model_file) as stream:
            assert stream.read() == "booster\n"

    def predict(self, matrix):
        assert matrix.names == self.feature_names
        return Result(sum(row) / 2.0 for row in matrix.rows)
