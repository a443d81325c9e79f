"""How the layer of a package's own dependencies is installed: a program for a container of the layer below.

No Dockerfile, because a build of the engine's cannot be given a folder that several builds share, and the wheels that
one has fetched are what the next one wants. The container becomes the layer; what must not stay lies in two volumes.
"""

from __future__ import annotations

from collections.abc import Mapping

#: A volume of the build's own: what is handed in, with the index's password, and what is left lying about.
SCRATCH_FOLDER = "/tmp"  # noqa: S108 - a path inside a build container
INSTALL_FOLDER = f"{SCRATCH_FOLDER}/install"
#: A volume that all builds share. Both folders are in every base image, so that no mount point is added.
CACHE_FOLDER = "/mnt"
CACHE_VOLUME = "airlock-wheels"

# uv where the worker brings one, and a Python that uv serves; else pip, which comes with the base image. Nothing that
# was just installed runs here: `-S` keeps Python from reading the `.pth` files of new distributions.
_PROGRAM = f"""\
set -eu
cd {INSTALL_FOLDER}
. ./environment
if [ -s ca.pem ]; then export PIP_CERT={INSTALL_FOLDER}/ca.pem SSL_CERT_FILE={INSTALL_FOLDER}/ca.pem; fi
: > began
if [ -f uv ]; then
  chmod 755 uv
  ./uv pip install --python "$(command -v python)" --break-system-packages --link-mode copy ${{UV_ARGUMENTS:-}} \\
    -c constraints.txt -r requirements.txt
  python -S -E slim.py /usr/local
  find /usr/local/lib -name '*.py' -cnewer began > new
  if [ -s new ]; then python -S -E -m compileall -q -i new > /dev/null || true; fi
else
  python -m pip install --disable-pip-version-check --no-warn-script-location \\
    --find-links wheels -c constraints.txt -r requirements.txt
  python -S -E slim.py /usr/local
fi
"""


def install_program() -> str:
    """The program's text, for `sh`; its working files lie in `INSTALL_FOLDER`."""
    return _PROGRAM


def uv_serves(python: str) -> bool:
    """Whether uv installs for a Python, given as `X.Y`. Source: uv's documentation, Python versions."""
    major, minor = (int(part) for part in python.split("."))
    return (major, minor) >= (3, 8)


def install_environment(arguments: Mapping[str, str], *, shared: bool) -> dict[str, str]:
    """The variables of one installation.

    Args:
        arguments: Where packages come from, by pip's names.
        shared: Whether the shared cache is there. Then nothing is compiled: the build script of a distribution is
            anybody's program, and could leave something in the cache for the next build to install.

    Returns:
        Name → value; they may hold passwords.
    """
    links = ["wheels", *arguments.get("PIP_FIND_LINKS", "").split()]
    # Settings that uv takes from its arguments alone.
    flags = ["--no-index"] if arguments.get("PIP_NO_INDEX") else []
    flags += ["--only-binary", ":all:"] if shared else []
    variables = {
        **arguments,
        "UV_DEFAULT_INDEX": arguments.get("PIP_INDEX_URL", ""),
        "UV_INDEX": arguments.get("PIP_EXTRA_INDEX_URL", ""),
        # As pip does: the best version of all indexes.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(links),
        "UV_INSECURE_HOST": arguments.get("PIP_TRUSTED_HOST", ""),
        "UV_ARGUMENTS": " ".join(flags),
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
        "PIP_NO_INPUT": "1",
    }
    if shared:
        variables |= {
            "UV_CACHE_DIR": f"{CACHE_FOLDER}/uv",
            "PIP_CACHE_DIR": f"{CACHE_FOLDER}/pip",
            "PIP_ONLY_BINARY": ":all:",
        }
    else:
        variables |= {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"}
    return {name: value for name, value in variables.items() if value}
