import common

NAME = "core.function with " + common.NAME
