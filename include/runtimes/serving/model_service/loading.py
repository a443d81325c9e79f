"""From a model folder to a ready service: import ``customize_service.py``, select its class, construct it."""

from __future__ import absolute_import

import ast
import importlib
import inspect
import os
import sys
import types

from model_service.failures import StartupFailure, describe
from model_service.model_service import SingleNodeService

MODULE_NAME = "customize_service"
# Parent of the service module when the name `model` belongs to a module inside the package.
PRIVATE_PACKAGE = "model_service.package_of_model"


def settle_paths():
    """Make import paths absolute, and forget the folder that ``python -m`` was started in; call before any chdir."""
    import model_service

    serving = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    start = os.getcwd()
    entries = [os.path.abspath(entry) for entry in sys.path]
    if entries and entries[0] == start:
        del entries[0]
    if serving not in entries:
        entries.insert(0, serving)
    sys.path[:] = entries
    model_service.__path__[:] = [os.path.abspath(entry) for entry in model_service.__path__]


def prepare_imports(home):
    """Put ``home/model`` and ``home`` first on ``sys.path``; empty ``sys.argv``, which constructors may parse."""
    first = [os.path.join(home, "model"), home]
    sys.path[:] = first + [entry for entry in sys.path if entry not in first]
    sys.argv[:] = [""]


def base_class(name):
    """Return the class named ``module:Class``.

    Raises:
        StartupFailure: There is none, or it is not a service.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise StartupFailure("select", "AIRLOCK_BASE_CLASS %s cannot be loaded: %s" % (name, error), sys.exc_info())
    if not (isinstance(found, type) and issubclass(found, SingleNodeService)):
        raise StartupFailure("select", "AIRLOCK_BASE_CLASS %s is not a service class" % name)
    return found


def service_class(model_folder, engine_base):
    """Return the package's service class, or the engine's base class where that serves by itself.

    Raises:
        StartupFailure: The code cannot be imported, has no or several service classes, or is missing and needed.
    """
    path = os.path.join(model_folder, MODULE_NAME + ".py")
    if not os.path.isfile(path):
        if engine_base.airlock_serves_alone:
            return engine_base
        raise StartupFailure(
            "select",
            "model/customize_service.py is missing, and %s loads no model by itself" % engine_base.__name__,
        )
    return select(_import_service(path, model_folder))


def select(module):
    """Return the one class of the module that is a service, is defined there and has no subclass there.

    Raises:
        StartupFailure: None or several.
    """
    services = {
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, SingleNodeService) and value.__module__ == module.__name__
    }
    parents = {parent for service in services for parent in service.__mro__[1:]}
    leaves = sorted((service.__name__ for service in services - parents))
    if len(leaves) == 1:
        return next(iter(services - parents))
    if leaves:
        raise StartupFailure(
            "select",
            "customize_service.py defines %d service classes, one is needed: %s" % (len(leaves), ", ".join(leaves)),
        )
    raise StartupFailure("select", "customize_service.py defines no class derived from a service base class")


def relies_on(cls, engine_base):
    """Whether predictions of the class run the engine's own ``_inference``, and so need the model that it loads."""
    return all(
        next(parent for parent in cls.__mro__ if name in vars(parent)) in engine_base.__mro__
        for name in ("inference", "_inference")
    )


def construct(cls, engine_base, model_name, model_path, default):
    """Return the service object; ``default`` makes the engine's base load its model now, not with a first request.

    The constructor gets the arguments of the class's own base; of the engine's, where only those fit: code written for
    one engine's arguments may derive from another's base class.

    Raises:
        StartupFailure: The constructor failed.
    """
    try:
        if not _takes(cls, cls.airlock_arguments) and _takes(cls, engine_base.airlock_arguments):
            cls.airlock_arguments = engine_base.airlock_arguments
            values = engine_base.airlock_values(model_name, model_path)
        else:
            values = cls.airlock_values(model_name, model_path)
        service = cls(*values)
        service.airlock_start()
        if default:
            service.airlock_prepare()
        return service
    except BaseException as error:  # sys.exit() in a constructor is a failed start too
        raise StartupFailure("construct", _text(error), sys.exc_info())


def _takes(cls, arguments):
    """Whether the constructor can be called with so many arguments, as far as it can be seen."""
    code = getattr(cls.__init__, "__code__", None)
    if code is None:
        return True
    most = code.co_argcount - 1
    least = most - len(cls.__init__.__defaults__ or ())
    return least <= len(arguments) and (len(arguments) <= most or bool(code.co_flags & inspect.CO_VARARGS))


def _import_service(path, model_folder):
    module = types.ModuleType(MODULE_NAME)
    module.__file__ = path
    sys.modules[MODULE_NAME] = module
    parent = _parent_package(model_folder)
    try:
        with open(path, "rb") as stream:
            source = stream.read()
        # Compiled from bytes, so that a coding line (GBK) and a byte order mark count.
        code = compile(source, path, "exec", 0, True)
        # The module keeps its plain name, which `import customize_service` finds, and has a parent all the same:
        # that is what `from .utils import x` needs, without an __init__.py in the folder. Python 2 would then take
        # plain imports from the parent too, and load siblings a second time; there only code that needs it has one.
        if sys.version_info[0] > 2 or _imports_relatively(source):
            module.__package__ = parent
        exec(code, module.__dict__)
    except BaseException as error:
        raise StartupFailure("import", _text(error), sys.exc_info())
    return module


def _imports_relatively(source):
    return any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(ast.parse(source)))


def _parent_package(model_folder):
    """Return the name of a registered package whose folder is the model folder.

    ``model``, so that ``from .x import y`` and ``from model.x import y`` are one module; Python 2 knows the folder as
    a package only this way. Where the package has a ``model`` of its own inside, that one keeps the name.
    """
    inner = os.path.join(model_folder, "model")
    taken = os.path.isdir(inner) or os.path.isfile(inner + ".py")
    name = PRIVATE_PACKAGE if taken else "model"
    package = types.ModuleType(name)
    package.__path__ = [model_folder]
    package.__package__ = name
    sys.modules[name] = package
    return name


def _text(error):
    return describe(error) or type(error).__name__
