"""Methods of a service class must be callable as the serving code calls them."""

from __future__ import annotations

import pytest

from airlock.domain.catalogue import ServiceSpec
from airlock.domain.findings import Severity
from tests.unit.service_code.code_checks import MAIN, check, codes, found, method


@pytest.mark.parametrize(
    "text",
    [
        "def __init__(self, model_name, model_path): pass", "def __init__(self, *args): pass",
        "def __init__(self, name, path, gpu=None): pass", "def __init__(self, name, *rest, **more): pass",
        "def _preprocess(self, data): pass", "@staticmethod\ndef _preprocess(data): pass",
        "@classmethod\ndef _inference(cls, data): pass", "def _postprocess(self, data, top=5): pass",
        "def inference(self, data): pass", "def health(self): return {}, 200", "def ping(self): pass",
        "@wrap\ndef _inference(a, b, c): pass", "def _preprocess(self, data, *, size=3): pass",
        "_inference = staticmethod(len)", "def signature(self, a, b): pass",
    ],
)  # fmt: skip
def test_methods_that_can_be_called_are_accepted(text: str) -> None:
    assert codes(method(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "def __init__(self): pass", "def __init__(self, model_path): pass", "def __init__(self, a, b, c): pass",
        "def __init__(self, a, b, *, c): pass", "def _preprocess(self): pass", "def _preprocess(data): pass",
        "def _inference(self, data, size): pass", "@staticmethod\ndef _postprocess(self, data): pass",
        "def inference(self): pass", "def health(self, data): pass",
    ],
)  # fmt: skip
@pytest.mark.parametrize("python", ["2.7", "3.7"])
def test_methods_that_cannot_be_called_are_refused(text: str, python: str) -> None:
    if python == "2.7" and "*," in text:
        return
    findings = [item for item in found(method(text), python=python) if item[0] != "SVC003"]
    assert [(code, severity) for code, severity, *_ in findings] == [("SVC006", Severity.ERROR)]
    assert findings[0][2] == 3 + text.count("\n")


def test_the_constructors_arguments_are_those_of_the_base_class() -> None:
    mxnet = "from mms.model_service.mxnet_model_service import MXNetBaseService as B\nclass S(B):\n"
    assert codes(mxnet + "    def __init__(self, name, folder, manifest, gpu=None): pass\n") == ["SVC005"]
    assert codes(mxnet + "    def __init__(self, name, path): pass\n") == ["SVC006", "SVC005"]
    spark = method("def _inference(self, data): pass\ndef __init__(self, path): pass", "SparkServingBaseService",
                   "spark_model_service")  # fmt: skip
    assert codes(spark) == ["SVC005"]


def test_a_method_of_a_class_in_a_sibling_is_judged_too() -> None:
    base = method("def _preprocess(self): pass").replace("Service(", "Base(")
    (finding,) = check({MAIN: "from base import Base\nclass S(Base): pass\n", "base.py": base})
    assert (finding.code, finding.place.file, finding.place.line) == ("SVC006", f"model/{MAIN}", 2)
    assert "Base._preprocess" in finding.message


@pytest.mark.parametrize("name", ["preprocess", "_pre_process", "_postproces", "_Inference", "_infrence"])
def test_a_misspelt_method_is_told(name: str) -> None:
    assert [(code, severity) for code, severity, *_ in found(method(f"def {name}(self, data): pass"))] == [
        ("SVC007", Severity.WARNING)
    ]


def test_a_method_that_something_calls_is_not_misspelt() -> None:
    text = "def preprocess(self, data): pass\ndef _preprocess(self, data): return self.preprocess(data)"
    assert codes(method(text)) == []
    assert codes(method("def preprocess(self, data): pass\ndef _inference(self, d): return self.preprocess(d)")) == []


@pytest.mark.parametrize("base,module", [("SingleNodeService", "model_service")])
def test_a_base_class_without_inference_needs_one(base: str, module: str) -> None:
    spec = ServiceSpec(base_class=f"model_service.{module}:{base}", model_path="folder")
    assert codes(method("x = 1", base, module), service=spec) == ["SVC010"]
    for text in ("def _inference(self, data): pass", "def inference(self, data): pass", "_inference = f"):
        assert codes(method(text, base, module), service=spec) == []
    assert codes("import torch\n" + method("x = 1", base, module).replace("(S", "(torch.nn.Module, S"), service=spec,
                 constraints="torch==1.4.0\n") == []  # fmt: skip
