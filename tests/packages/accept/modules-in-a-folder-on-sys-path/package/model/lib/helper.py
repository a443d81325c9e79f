from beside import two


def twice(x):
    return two * x
