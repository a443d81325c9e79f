"""For every rule a package or request that breaks it, and one as like it as can be that keeps it."""

from __future__ import annotations

import functools
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airlock.adapters.catalogue_files import load_catalogue
from airlock.domain.catalogue import Catalogue
from airlock.domain.package import FetchLimits
from airlock.domain.source import SourceLocation
from airlock.errors import PermanentError, Rejected
from airlock.steps.check import check_source
from tests.fakes.object_storage import FakeStorage
from tests.unit.given import (
    CATALOGUE,
    IRIS_CONFIG,
    PICKLE,
    ROOT,
    ZIPPED,
    archive,
    changed,
    config_schema,
    iris_files,
)
from tests.unit.line import Line
from tests.unit.model_bytes import field as message
from tests.unit.model_bytes import onnx_model, written

Files = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is imported.

    Attributes:
        files: Path below the source folder → bytes.
        conf: Fields of the request beside the name and the source.
        whole_catalogue: Whether all runtimes are there, and not only those of the tests.
    """

    files: Files = field(default_factory=iris_files)
    conf: Mapping[str, Any] = field(default_factory=dict)
    whole_catalogue: bool = False


@functools.cache
def whole_catalogue() -> Catalogue:
    return load_catalogue(ROOT / "include")


def codes_told(given: Given | Callable[[], set[str]]) -> set[str]:
    """Every code that the line up to the detection tells of, errors and the rest."""
    if not isinstance(given, Given):
        return given()
    line = Line(given.files, whole_catalogue() if given.whole_catalogue else CATALOGUE)
    told: list[Any] = []
    try:
        accepted = line.accept(**given.conf)
        package = line.fetch(accepted)
        told += package.findings
        validated = line.validate(accepted, package)
        told += validated.findings
        told += line.detect(accepted, package, validated).findings
    except Rejected as error:
        told += error.findings
    except PermanentError as error:
        return {error.code, *(each.code for each in told)}
    return {each.code for each in told}


def asked(**conf: Any) -> Given:
    return Given(conf=conf)


def packed(config: Any = None, **files: bytes) -> Given:
    """The iris package with another configuration and further files, named as `iris_files` takes them."""
    return Given(files=iris_files(config, **files))


def without(*paths: str, given: Given | None = None) -> Given:
    files = (given or Given()).files
    return Given(files={path: data for path, data in files.items() if path not in paths})


def text(config: bytes) -> Given:
    return Given(files={**iris_files(), "model/config.json": config})


def iris(**changes: Any) -> Given:
    return packed(changed(**changes))


def api(**changes: Any) -> Given:
    (one,) = json.loads(json.dumps(IRIS_CONFIG["apis"]))
    return iris(apis=[{**one, **changes}])


def request(content_type: str, schema: Any) -> Given:
    return api(request={"Content-type": content_type, "data": schema})


def needs(*packages: Mapping[str, str], installer: str = "pip") -> Given:
    config = changed(dependencies=[{"installer": installer, "packages": list(packages)}])
    return packed(config, model__customize_service_dot_py=SERVICE)


def needing(name: str, version: str = "", restraint: str = "") -> dict[str, str]:
    named = {"package_name": name, "package_version": version, "restraint": restraint}
    return {key: value for key, value in named.items() if value}


SERVICE = b"""\
from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def _preprocess(self, data):
        return data
"""


def code(source: bytes, **config: Any) -> Given:
    return packed(changed(**config), model__customize_service_dot_py=source)


def archived(files: Files, behind: bytes = b"") -> Given:
    """An archive as the source, with bytes behind its end."""
    conf = {"source_location": "s3://models/iris/iris.zip"}
    return Given(files={"iris.zip": archive(*files.items()) + behind}, conf=conf)


def linked(path: str) -> Given:
    """A tar archive that holds the iris package and a link."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as made:
        for name, data in iris_files().items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(entry)
    return Given(files={"iris.tar": target.getvalue()}, conf={"source_location": "s3://models/iris/iris.tar"})


def torch(**files: bytes) -> Given:
    """A package of PyTorch with its code, and these files."""
    config = changed(model_type="PyTorch", runtime="pytorch2.13-python3.11-cpu")
    source = SERVICE.replace(b"python_model_service", b"pytorch_model_service").replace(b"XgSkl", b"PT")
    source = source.replace(b"    def _preprocess(self, data):", b"    def _inference(self, data):")
    whole = packed(config, **{"model__customize_service_dot_py": source, **files})
    return without("model/iris.m", given=whole)


def image(**changes: Any) -> Given:
    location = "swr.example.com/org/image:1"
    config = changed(model_type="Image", runtime=None, swr_location=location, health={"url": "/health"})
    (one,) = config["apis"]
    config["apis"] = changes.pop("apis", [one])
    return Given(files={"model/config.json": json.dumps({**config, **changes}).encode()})


def model(data: bytes) -> Given:
    return packed(model__iris_dot_m=data)


def tensors(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


#: The opening of a model of TensorFlow Lite.
LITE = b"\x08\x00\x00\x00TFL3" + bytes(8)
HEADER = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
(ONE_API,) = IRIS_CONFIG["apis"]
OTHER_API = {**ONE_API, "url": "/other"}
CODE_IN_A_PICKLE = b"cposix\nsystem\n(S'id'\ntR."


def odd(name: str) -> Given:
    return Given(files={**iris_files(), name: b"x"})


def onnx(data: bytes, **files: bytes) -> Given:
    config = changed(model_type="ONNX", runtime=None)
    whole = packed(config, model__net_dot_onnx=data, **files).files
    return Given(files={path: each for path, each in whole.items() if path != "model/iris.m"}, whole_catalogue=True)


def pickled_by(file: str) -> Given:
    return Given(files={**iris_files(), "model/iris.m": written(file)}, whole_catalogue=True)


def caffe() -> Given:
    """A package of an engine that has no runtime in the tests' catalogue."""
    folder = ROOT / "tests/packages/reject/engine-without-runtimes/package"
    return Given(
        files={path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    )


def where_it_lies(max_read_bytes: int) -> Callable[[], set[str]]:
    """A check of a package in object storage that may fetch so many bytes of model files."""

    def told() -> set[str]:
        files = iris_files() | {"model/iris.m": written("scikit-learn-1.9.1/iris.m")}
        storage = FakeStorage({"models": {f"iris/{path}": data for path, data in files.items()}})
        report = check_source(
            SourceLocation(bucket="models", prefix="iris/"),
            storage=storage,
            catalogue=CATALOGUE,
            schema=config_schema(),
            limits=FetchLimits(max_package_bytes=1_000_000, max_objects=50),
            max_read_bytes=max_read_bytes,
        )
        return {each.code for each in report.findings}

    return told


Case = Given | Callable[[], set[str]]
#: Code → a package or request that breaks the rule, and one that keeps it.
CASES: dict[str, tuple[Case, Case]] = {
    "PKG001": (Given(files={"Model/config.json": b"{}"}), Given()),
    "PKG002": (without("model/config.json"), Given()),
    "PKG003": (
        packed(model__customize_service_dot_py=SERVICE, model__old__customize_service_dot_py=SERVICE),
        packed(model__customize_service_dot_py=SERVICE, model__old__service_dot_py=SERVICE),
    ),
    "PKG004": (without("model/iris.m"), Given()),
    "PKG005": (packed(model__other_dot_m=PICKLE), packed(model__others__other_dot_m=PICKLE)),
    "PKG006": (odd("model/a\u202eb"), odd("model/a-b")),
    "PKG007": (Given(files={**iris_files(), "model/A": b"", "model/a": b""}), odd("model/a/b")),
    "PKG008": (packed(model__big_dot_csv=bytes(1_000_001)), packed(model__big_dot_csv=bytes(900_000))),
    "PKG009": (
        Given(files={**iris_files(), **{f"model/data/{index}": b"" for index in range(51)}}),
        Given(files={**iris_files(), **{f"model/data/{index}": b"" for index in range(40)}}),
    ),
    "PKG010": (odd("notes.txt"), odd("model/notes.txt")),
    "PKG011": (asked(source_location="s3://models/iris/model/"), asked(source_location="s3://models/iris/")),
    "PKG012": (archived({**iris_files(), "model/a": b"x"}, b"junk"), archived(iris_files())),
    "PKG013": (linked("model/labels.txt"), archived({**iris_files(), "model/labels.txt": b"x"})),
    "PKG014": (archived({f"iris/{path}": data for path, data in iris_files().items()}), archived(iris_files())),
    "CFG001": (text(b'{"model_type": }'), Given()),
    "CFG002": (text(b"// iris\n" + json.dumps(IRIS_CONFIG).encode()), iris(description="// iris")),
    "CFG003": (
        text(b'{"model_type": "XGBoost", ' + json.dumps(IRIS_CONFIG).encode()[1:]),
        text(b'{"model_type": "Scikit_Learn", ' + json.dumps(IRIS_CONFIG).encode()[1:]),
    ),
    "CFG004": (text(b"[" * 65 + b"]" * 65), iris(metrics={"f1": 0.5})),
    "CFG005": (iris(model_algorithm=None), Given()),
    "CFG006": (iris(metrics=[0.9]), iris(metrics={"f1": 0.9})),
    "CFG007": (iris(model_type="Sklearn"), iris(model_type="Scikit_Learn")),
    "CFG008": (iris(runtime="sklearn0.1-python3.11"), iris(runtime="sklearn1.9-python3.11")),
    "CFG009": (iris(model_algorithm="1<2"), iris(model_algorithm="predict-analysis")),
    "CFG010": (iris(swr_location="swr.example.com/org/image:1"), image()),
    "CFG011": (iris(modle_type="x"), iris(metrics={"f1": 0.9})),
    "CFG012": (api(protocol=None, procotol="http"), api(protocol="http")),
    "CFG013": (iris(metrics={"f1": "good"}), iris(metrics={"f1": 0.9})),
    "CFG014": (iris(runtime=None), Given()),
    "CFG015": (image(swr_location="https://swr.example.com/org/image:1"), image()),
    "CFG016": (image(swr_location="swr.example.com/org/image:latest"), image()),
    "CFG017": (
        image(health={"url": "/health", "check_method": "TCP"}),
        image(health={"url": "/health", "check_method": "HTTP"}),
    ),
    "API001": (api(url="/predict"), api(url="/")),
    "API002": (request("multipart/form-data", SCHEMA), request("application/json", SCHEMA)),
    "API003": (request("application/json", {"type": "thing"}), request("application/json", {"type": "object"})),
    "API004": (iris(apis=None), Given()),
    "API005": (
        request("application/json", {"type": "string", "pattern": "(a+)+$"}),
        request("application/json", {"type": "string", "maxLength": 9}),
    ),
    "API006": (image(apis=[{**ONE_API, "port": 70_000}]), image(apis=[{**ONE_API, "port": 9000}])),
    "API007": (image(apis=[ONE_API, ONE_API]), image(apis=[ONE_API, OTHER_API])),
    "DEP001": (needs(needing("--index-url=https://example.com")), needs(needing("Pillow"))),
    "DEP002": (needs(needing("Pillow", "9.0", "ABOUT")), needs(needing("Pillow", "9.0", "ATLEAST"))),
    "DEP003": (needs(needing("Pillow"), installer="conda"), needs(needing("Pillow"))),
    "DEP004": (
        needs(needing("Pillow", "9.0", "EXACT"), needing("pillow", "8.0", "EXACT")),
        needs(needing("Pillow", "9.0", "EXACT"), needing("pillow", "9.0", "EXACT")),
    ),
    "DEP005": (
        iris(dependencies=[{"installer": "pip", "packages": [needing("Pillow")]}]),
        needs(needing("Pillow")),
    ),
    "DEP006": (
        needs(needing("NumPy", "1.16.0", "EXACT")),
        needs(needing("NumPy", "2.4.6", "EXACT"), needing("scikit-learn", "1.0", "ATLEAST"), needing("scipy")),
    ),
    "SVC001": (
        without("model/customize_service.py", given=torch(model__net_dot_pth=ZIPPED)),
        torch(model__net_dot_pth=ZIPPED),
    ),
    "SVC002": (code(b"def broken(:\n"), code(SERVICE)),
    "SVC003": (
        # A word that later versions keep for themselves: only Python 3.6 itself can tell.
        code(b"async = 1\n" + SERVICE, runtime="python3.6"),
        code(b"later = 1\n" + SERVICE, runtime="python3.6"),
    ),
    "SVC004": (code(SERVICE.replace(b"(XgSklServingBaseService)", b"")), code(SERVICE)),
    "SVC005": (code(SERVICE.replace(b"python_m", b"pytorch_m").replace(b"XgSkl", b"PT")), code(SERVICE)),
    "SVC006": (code(SERVICE.replace(b"(self, data)", b"(self)")), code(SERVICE)),
    "SVC007": (code(SERVICE.replace(b"_preprocess", b"_preproces")), code(SERVICE)),
    "SVC008": (code(b"import helpers_of_mine\n" + SERVICE), code(b"import json\n" + SERVICE)),
    "SVC009": (
        code(b"import os\nos.system('make')\n" + SERVICE),
        code(b"import os\nHOME = os.environ.get('HOME')\n" + SERVICE),
    ),
    "SVC010": (
        torch(
            model__net_dot_pth=ZIPPED,
            model__customize_service_dot_py=SERVICE.replace(b"python_model_service", b"model_service").replace(
                b"XgSklServingBaseService", b"SingleNodeService"
            ),
        ),
        torch(model__net_dot_pth=ZIPPED),
    ),
    "MDL001": (model(CODE_IN_A_PICKLE), model(b"\x80\x02cnumpy\nndarray\n.")),
    "MDL002": (model(b"\x80\x04N"), model(b"\x80\x04N.")),
    "MDL003": (model(b"\x04\x22M\x18" + bytes(50)), model(zlib.compress(b"\x80\x04N."))),
    "MDL004": (torch(model__net_dot_pth=ZIPPED + b"x"), torch(model__net_dot_pth=ZIPPED)),
    "MDL005": (model(b"just some text"), Given()),
    "MDL006": (
        torch(model__net_dot_pth=ZIPPED, model__a_dot_safetensors=tensors(HEADER, bytes(5))),
        torch(model__net_dot_pth=ZIPPED, model__a_dot_safetensors=tensors(HEADER, bytes(4))),
    ),
    "MDL007": (
        onnx(onnx_model(message(4, "Mystery") + message(7, "com.example"))),
        onnx(onnx_model(message(4, "Gelu") + message(7, "com.microsoft"))),
    ),
    "MDL008": (
        onnx(onnx_model(location="net.bin")),
        onnx(onnx_model(location="net.bin"), model__net_dot_bin=bytes(4)),
    ),
    "MDL009": (where_it_lies(max_read_bytes=100), where_it_lies(max_read_bytes=1_000_000)),
    "MDL010": (torch(model__net_dot_pth=ZIPPED, model__a_dot_tflite=LITE), torch(model__net_dot_pth=ZIPPED)),
    "MDL011": (model(b""), Given()),
    "DET001": (
        without("model/iris.m", given=packed(changed(model_type="XGBoost", runtime=None), model__net_dot_m=ZIPPED)),
        packed(changed()),
    ),
    "DET002": (caffe(), Given()),
    "DET003": (iris(runtime="python2.7"), iris(runtime="python3.6")),
    "DET005": (pickled_by("xgboost-3.2.0/pickled.m"), pickled_by("scikit-learn-1.9.1/iris.m")),
    "DET006": (pickled_by("scikit-learn-0.18.1/iris.m"), pickled_by("scikit-learn-1.9.1/iris.m")),
    "REQ001": (asked(modle_version="1"), asked(model_version="0.0.1")),
    "REQ002": (asked(model_name=""), asked(model_name="iris")),
    "REQ003": (asked(labels="a"), asked(labels=["a"])),
    "REQ004": (asked(model_name="{{ 7*7 }}"), asked(model_name="iris_7-7")),
    "REQ005": (asked(model_version="1.0"), asked(model_version="1.0.0")),
    "REQ006": (asked(labels=list("abcdef")), asked(labels=list("abcde"))),
    "REQ007": (asked(description="<b>iris</b>"), asked(description="iris")),
    "REQ008": (asked(source_location="file://host/etc/"), asked(source_location="s3://models/iris/")),
    "REQ009": (asked(install_type=["cloud"]), asked(install_type=["edge"])),
    "REQ010": (asked(min_cpu=-1), asked(min_cpu=1)),
    "REQ011": (
        asked(model_docs=[{"doc_name": "page", "doc_url": "javascript:alert(1)"}]),
        asked(model_docs=[{"doc_name": "page", "doc_url": "https://example.com/"}]),
    ),
    "REQ012": (asked(required_devices=["tpu"]), asked(required_devices=["cpu"])),
}  # fmt: skip
