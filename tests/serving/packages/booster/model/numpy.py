class Matrix(list):
    ndim = 2

    @property
    def shape(self):
        return len(self), len(self[0])


def asarray(rows, dtype=None):
    return Matrix(rows)
