"""A safetensors file: its header says where each tensor lies, and every byte belongs to exactly one.

Source: huggingface/safetensors, README, section Format.
"""

from __future__ import annotations

from typing import Any

from airlock.domain.model_files.facts import STRONG, WEAK, Facts, claims, listed
from airlock.domain.model_files.ranges import Ranges, parsed
from airlock.domain.model_files.streams import OverLimit, Unreadable

#: The format allows 100 MB, which would be gigabytes as values of Python. It is enough for 75,000 tensors in a file.
MAX_HEADER_BYTES = 8 << 20
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64, "C128": 128, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


class BrokenHeader(Unreadable):
    """The header cannot be used."""


def read_safetensors(ranges: Ranges) -> Facts:
    """A safetensors file, from its header alone.

    Raises:
        BrokenHeader: The header does not account for every byte.
        OverLimit: The header is larger than is looked at.
    """
    if ranges.size < 8:
        raise BrokenHeader("the file is too short")
    length = int.from_bytes(ranges.at(0, 8), "little")
    if length > ranges.size - 8:
        raise BrokenHeader("its length is larger than the file")
    if length > MAX_HEADER_BYTES:
        raise OverLimit(f"its header has {length:,} bytes, at most {MAX_HEADER_BYTES:,} are looked at")
    raw = ranges.at(8, length)
    if not raw.startswith(b"{"):
        raise BrokenHeader("it is not JSON that begins with {")
    try:
        header: dict[str, Any] = parsed(raw)
    except Unreadable as error:
        raise BrokenHeader(error.message) from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise BrokenHeader("its metadata are no texts by name")
    spans = sorted(_span(name, value) for name, value in header.items())
    position = 0
    for start, end in spans:
        if start != position:
            raise BrokenHeader("tensors overlap or leave a gap")
        position = end
    if position != ranges.size - 8 - length:
        raise BrokenHeader(f"tensors need {position:,} bytes, the file has {ranges.size - 8 - length:,}")
    kinds = sorted({str(value["dtype"]) for value in header.values()})
    torch = metadata.get("format") == "pt"
    return Facts(
        says=f"holds {len(header):,} tensors in safetensors" + (", written for PyTorch" if torch else ""),
        claims=(*claims(STRONG if torch else WEAK, "Transformers"), *claims(WEAK, "PyTorch")),
        details=(("types", listed(kinds)),) if kinds else (),
    )


def _span(name: str, value: Any) -> tuple[int, int]:
    label = repr(name[:80])
    offsets = _whole_numbers(value.get("data_offsets")) if isinstance(value, dict) else None
    if offsets is None or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise BrokenHeader(f"{label} has no offsets")
    kind, shape = value.get("dtype"), _whole_numbers(value.get("shape"))
    if not isinstance(kind, str):
        raise BrokenHeader(f"{label} has no type")
    if shape is None:
        raise BrokenHeader(f"{label} has no shape")
    bits = _BITS.get(kind)
    if bits is not None:
        for dimension in shape:
            bits *= dimension
            if bits > 1 << 70:
                break
        if bits != 8 * (offsets[1] - offsets[0]):
            raise BrokenHeader(f"{label} has another size than its shape and type")
    return offsets[0], offsets[1]


def _whole_numbers(value: Any) -> list[int] | None:
    fits = isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)
    return value if fits else None
