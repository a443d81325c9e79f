from .layers import plus_one
