from ..plain import NAME
