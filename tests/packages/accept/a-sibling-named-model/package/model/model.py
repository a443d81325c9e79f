class Net(object):
    def __call__(self, size):
        return "large" if size > 3 else "small"
