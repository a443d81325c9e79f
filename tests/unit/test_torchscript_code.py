"""The code of TorchScript: what reads and writes files or leaves PyTorch is named, and what computes is not."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest

from airlock.domain.model_files.reading import check_model_file
from airlock.domain.model_files.torchscript_code import MAX_FILE_BYTES, MAX_FILES
from tests.unit.given import archive
from tests.unit.test_hostile_pickles import TENSORS, codes, looked_at

COMPUTES = """\
op_version_set = 1
import __torch__.torch.nn.modules.linear
class N(Module):
  __parameters__ = ["weight", ]
  training : bool
  saved : Optional[bool]
  l : __torch__.torch.nn.modules.linear.___torch_mangle_0.Linear
  p : __torch__.torch.classes.quantized.LinearPackedParamsBase
  __annotations__["0"] = __torch__.torch.nn.modules.container.Sequential
  def forward(self: __torch__.N,
    x: Tensor) -> Tensor:
    _0 = __torch__.torch.nn.functional.softmax
    if bool(torch.gt(torch.sum(x), 0)):
      x0 = torch.relu((self.l).forward(x, ))
    else:
      ops.prim.RaiseException("save it with torch.save(x, \\"file\\"), it's better")
      x0 = x  # torch.load("no")
    h, _2, = ops.quantized.linear(x0, self.p, 1., -inf)
    boxes = ops.torchvision.nms(h, CONSTANTS.c0, .5)
    print(torch.size(h), '"torch.save"', torch.device("cpu"))
    return _0(torch.__is__(h, None), 1.5e-3, getattr(self, "0"), None, )
  def save(self: __torch__.N) -> int:
    return self.load
"""


def archived(code: str | bytes) -> bytes:
    text = code.encode() if isinstance(code, str) else code
    return archive(("net/data.pkl", TENSORS), ("net/constants.pkl", b"\x80\x02)."), ("net/code/__torch__/a.py", text))


def found(code: str | bytes) -> list[tuple[str, str]]:
    return [(each.code, each.value) for each in looked_at(archived(code), "model/net.pt", "PyTorch")]


def test_code_that_computes_is_accepted() -> None:
    assert found(COMPUTES) == []


@pytest.mark.parametrize(
    "line,name",
    [
        ('torch.save(x, "/tmp/a")', "torch.save"),
        ('y = torch.load("/tmp/a")', "torch.load"),
        ('y = torch.from_file("/etc/passwd", False, 9)', "torch.from_file"),
        ('y = x.from_file("/etc/passwd")', "x.from_file"),
        ('y = ops.aten.from_file("/etc/passwd", False, 9)', "ops.aten.from_file"),
        ('ops.aten.save(x, "/tmp/a")', "ops.aten.save"),
        ('y = ops.image.read_file("/etc/passwd")', "ops.image.read_file"),
        ("y = ops.evil.run(x)", "ops.evil.run"),
        ('torch . \\\n save(x, "/tmp/a")', ""),
        ('torch # "\n .save(x, "/tmp/a")', "torch.save"),
        ('print("it\'s", torch.save(x, "a"))', "torch.save"),
        ("f = torch.save", "torch.save"),
        ("t = torch", "torch"),
        ("o = ops.aten", "ops.aten"),
        ('y = getattr(torch, "save")', "torch"),
        ('y = __torch__.torch.classes.dist_c10d.FileStore("/tmp/a", 1)', "__torch__.torch.classes.dist_c10d.FileStore"),
        ("y = __torch__.torch", "__torch__.torch"),
        ("y = __torch__.torch.classes", "__torch__.torch.classes"),
    ],
)
def test_code_that_does_more_is_named(line: str, name: str) -> None:
    code = COMPUTES + "  def g(self, x: Tensor) -> Tensor:\n    " + line + "\n"
    assert ("MDL001", name or "torch") in found(code)
    assert {each for each, _ in found(code)} == {"MDL001"}


def test_code_is_read_wherever_it_lies_and_however_it_is_stored() -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("net/data.pkl", TENSORS)
        made.writestr("net/code/x.py", "torch.save(x)", zipfile.ZIP_DEFLATED)
    assert codes(packed.getvalue(), "model/net.pt", "PyTorch") == ["MDL001"]
    # What PyTorch itself lets lie beside the code is none.
    other = archive(("net/data.pkl", TENSORS), ("net/extra/notes.py", b"torch.save(x)"))
    assert codes(other, "model/net.pt", "PyTorch") == []


def test_trust_keeps_what_code_does_as_a_warning() -> None:
    data = archived("torch.save(x)")
    (each,) = check_model_file("model/net.pt", len(data), BytesIO(data), "PyTorch", trusted=True)
    assert (each.code, each.is_error) == ("MDL001", False)


@pytest.mark.parametrize(
    "text", ['"no end', "'no end", '"""no end\n', "'" * 3, '"' + '\\"' * 200_000, '"""' + '\\"""' * 200_000]
)
def test_a_text_without_an_end_is_refused_at_once(text: str) -> None:
    assert [code for code, _ in found("x = " + text)] == ["MDL004"]


def test_bytes_that_are_no_text_hide_nothing() -> None:
    assert ("MDL001", "torch.save") in found(b"\x00\xff\xe9torch.save(x)")


def test_code_is_bounded() -> None:
    many = archive(("net/data.pkl", TENSORS), *((f"net/code/{index}.py", b"") for index in range(MAX_FILES + 1)))
    assert codes(many, "model/net.pt", "PyTorch") == ["MDL003"]
    assert [code for code, _ in found(b" " * (MAX_FILE_BYTES + 1))] == ["MDL003"]
