class Service(object):
    pass
