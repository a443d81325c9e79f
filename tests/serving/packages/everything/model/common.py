from .core import deep

NAME = __name__ + " " + deep.NAME
