"""The home of a package: its ``model/`` folder laid out from the read-only original, and the model file in it.

The home is a private, writable place. Code writes beside itself, so folders and small files are real; large files stay
where they are, behind symbolic links, because copying them would cost memory (the home may be a tmpfs) and time.
"""

from __future__ import absolute_import

import errno
import fnmatch
import functools
import os
import shutil
import stat
import sys

from model_service.failures import StartupFailure

MAX_COPY_BYTES = 1024 * 1024
# Models that name files of weights beside them. ONNX Runtime takes those from the folder where the model really lies,
# and refuses a link that leads out of it: a small model must not be copied away from weights that are linked.
LINKED_ENDINGS = (".onnx",)
# Written beside model/ so that a restart in the same home replaces only what a start laid out.
MARKER = ".airlock-layout"
# What model/1 leads to: links back into model/, but for 1 itself.
MODEL_ONE = ".airlock-model-1"


def lay_out(package_dir, home, model_one=False):
    """Make ``home/model`` from ``package_dir/model``.

    Args:
        package_dir: Folder that contains ``model/``; only read.
        home: Folder to fill; made when it does not exist.
        model_one: Whether the files of ``model`` shall be found in ``model/1``, too (paths that TensorFlow packages
            write out).

    Raises:
        StartupFailure: The original is missing, the home cannot be written, or ``home/model`` is someone else's.
    """
    source = os.path.join(os.path.abspath(package_dir), "model")
    target = os.path.join(home, "model")
    marker = os.path.join(home, MARKER)
    if not os.path.isdir(source):
        raise StartupFailure("layout", "the package folder %s has no folder named model" % package_dir)
    try:
        if not os.path.isdir(home):
            os.makedirs(home)
        if os.path.lexists(target):
            if not os.path.isfile(marker) or os.path.islink(target):
                raise StartupFailure(
                    "layout", "%s exists already and was not laid out by this server: choose an empty home" % target
                )
            shutil.rmtree(target)
            shutil.rmtree(os.path.join(home, MODEL_ONE), ignore_errors=True)
        with open(marker, "w"):
            pass
        _copy_folder(source, target)
        if model_one and not os.path.lexists(os.path.join(target, "1")):
            _link_as_one(home, target)
    except EnvironmentError as error:
        hint = " (is the home writable?)" if error.errno in (errno.EACCES, errno.EROFS) else ""
        raise StartupFailure("layout", "cannot lay out %s: %s%s" % (target, error, hint))


def keep_at_home(package_dir, home):
    """Let resolved paths of the package's files lead to the home: code finds its neighbours, and writes, beside them.

    A large file is a link to the original, whose folder cannot be written and is none of the code's. What resolves
    links in Python, ``os.path.realpath`` and ``pathlib.Path.resolve``, is all that shows it.
    """
    real_path = os.path.realpath
    laid_out = os.path.join(real_path(home), "model")
    # model/1 is model by another name, wherever it really lies.
    originals = (os.path.join(real_path(package_dir), "model"), os.path.join(real_path(home), MODEL_ONE))
    # Paths are asked for as the other kind of text, too: bytes of Python 3, Unicode of Python 2.
    other = os.fsencode if sys.version_info[0] > 2 else lambda path: path.decode("utf-8")
    places = [(original, laid_out, os.sep) for original in originals]
    places += [tuple(other(part) for part in place) for place in places]

    def at_home(path):
        for original, laid_out, separator in places:
            if isinstance(path, type(original)) and (path + separator).startswith(original + separator):
                return laid_out + path[len(original) :]
        return path

    def resolve(*arguments, **options):
        return at_home(real_path(*arguments, **options))

    os.path.realpath = functools.wraps(real_path)(resolve)
    _patch_pathlib(at_home)


def find_model(folder, rule):
    """Return what the package's code gets as ``model_path``.

    Args:
        folder: The ``model`` folder.
        rule: ``folder``; ``dir:NAME`` for a folder inside; or comma-separated patterns of the one model file.

    Raises:
        StartupFailure: Nothing or more than one file fits; the message names them.
    """
    if rule == "folder":
        return folder
    if rule.startswith("dir:"):
        path = os.path.join(folder, rule[len("dir:") :])
        if not os.path.isdir(path):
            raise StartupFailure("layout", "model/ must have a folder %s" % rule[len("dir:") :])
        return path
    patterns = [pattern.strip() for pattern in rule.split(",") if pattern.strip()]
    found = [
        name
        for name in sorted(os.listdir(folder))
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        and os.path.isfile(os.path.join(folder, name))
    ]
    if len(found) != 1:
        wanted = " or ".join(patterns)
        if not found:
            raise StartupFailure("layout", "model/ must have one model file %s, and has none" % wanted)
        raise StartupFailure("layout", "model/ must have one model file %s, and has %s" % (wanted, ", ".join(found)))
    return os.path.join(folder, found[0])


def _patch_pathlib(at_home):
    if not (3, 0) < sys.version_info < (3, 11):
        return  # none, or one that asks os.path each time
    import pathlib

    path_resolve = pathlib.Path.resolve

    @functools.wraps(path_resolve)
    def resolve(self, *arguments, **options):
        return type(self)(at_home(str(path_resolve(self, *arguments, **options))))

    pathlib.Path.resolve = resolve


def _link_as_one(home, target):
    # A link to the folder that it lies in would be a loop: what follows links found each file 41 times through it.
    # Followed once, this one ends; and what follows no links, as os.walk, finds each file once.
    one = os.path.join(home, MODEL_ONE)
    os.mkdir(one)
    for name in os.listdir(target):
        os.symlink(os.path.join("..", "model", name), os.path.join(one, name))
    os.symlink(os.path.join("..", MODEL_ONE), os.path.join(target, "1"))


def _copy_folder(source, target):
    os.mkdir(target)
    for name in os.listdir(source):
        original, copy = os.path.join(source, name), os.path.join(target, name)
        if os.path.isdir(original) and not os.path.islink(original):
            _copy_folder(original, copy)
            continue
        found = os.stat(original)
        small = found.st_size <= MAX_COPY_BYTES and not name.endswith(LINKED_ENDINGS)
        if stat.S_ISREG(found.st_mode) and (small or name.endswith(".py")):
            shutil.copyfile(original, copy)
            # The original may be read-only; the copy is the package's to change.
            os.chmod(copy, stat.S_IMODE(found.st_mode) & 0o777 | 0o600)
            os.utime(copy, (found.st_atime, found.st_mtime))
        else:
            os.symlink(original, copy)
