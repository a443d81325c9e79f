from base_service import CommonService


class Scaled(CommonService):
    factor = 1

    def _inference(self, data):
        return data * self.factor


class Doubled(Scaled):
    factor = 2


class Net(object):
    """No service."""
