"""The pages of a listing, read by what is needed of them.

botocore's own parser looks for each member that an object's description may have, in each of them: most of the time
that a listing of thousands of objects takes.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree


def read_listings(session: Any) -> None:
    """Let a boto3 session's clients read listings this way: of an object what a package needs, and no more.

    Args:
        session: The session, before its client is made.
    """
    for operation in ("ListObjectsV2", "ListObjects"):
        session.events.register(f"before-parse.s3.{operation}", _take_objects)


def _take_objects(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Take the objects out of a page before botocore reads the rest of it; its decoding of keys comes after both.

    What is not as it should be is left where it is, for botocore to say so.
    """
    if response_dict["status_code"] != 200:
        return
    try:
        # The parser that botocore itself uses, on the same bytes.
        page = ElementTree.fromstring(response_dict["body"])  # noqa: S314
        # Servers differ in whether they name the protocol's namespace.
        space = page.tag[: page.tag.rfind("}") + 1]
        tag, key, size, etag, at = (f"{space}{name}" for name in ("Contents", "Key", "Size", "ETag", "LastModified"))
        objects = [
            {
                "Key": _text(item, key),
                "Size": int(_text(item, size)),
                "ETag": item.findtext(etag, ""),
                "LastModified": item.findtext(at, ""),
            }
            for item in page.iterfind(tag)
        ]
    except (ElementTree.ParseError, ValueError):
        return
    page[:] = [element for element in page if element.tag != tag]
    response_dict["body"] = ElementTree.tostring(page)
    customized_response_dict["Contents"] = objects


def _text(item: ElementTree.Element, tag: str) -> str:
    text = item.findtext(tag)
    if text is None:
        raise ValueError(tag)
    return text
