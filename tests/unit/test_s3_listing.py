"""A page of a listing says the same as botocore's own parser finds in it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.parsers import ResponseParserError, create_parser

from airlock.adapters import s3_listing
from airlock.adapters.s3_listing import read_listings

SPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
OPENING = '<?xml version="1.0" encoding="UTF-8"?>\n'
TWO = (
    "<Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>"
    "<Contents><Key>m/model/a%20%C3%A9&amp;b</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;d41d8&quot;</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass>"
    "<Owner><ID>1</ID><DisplayName>x</DisplayName></Owner></Contents>"
    "<KeyCount>2</KeyCount>"
    "<Contents><Size>5000000000000</Size><ETag>abc-3</ETag><Key> spaces </Key></Contents>"
    "<CommonPrefixes><Prefix>m/</Prefix></CommonPrefixes>"
)
PAGES = {
    "namespace": f"{OPENING}<ListBucketResult{SPACE}>{TWO}</ListBucketResult>",
    "no namespace": f"<ListBucketResult>{TWO}</ListBucketResult>",
    "empty": f"<ListBucketResult{SPACE}><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>",
    "no tag": "<ListBucketResult><Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>",
}


@pytest.fixture(scope="module")
def client() -> Any:
    session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    read_listings(session)
    return session.client("s3")


def answer(body: str, status: int = 200) -> dict[str, Any]:
    return {"status_code": status, "headers": {}, "body": body.encode(), "context": {"operation_name": "ListObjectsV2"}}


def by_botocore(client: Any, response: dict[str, Any]) -> dict[str, Any]:
    shape = client.meta.service_model.operation_model("ListObjectsV2").output_shape
    found: dict[str, Any] = create_parser("rest-xml").parse(response, shape)
    return found


def written(item: dict[str, Any]) -> str:
    """The time as the page says it; botocore makes a date of it, which costs more than all the rest."""
    return f"{item['LastModified']:%Y-%m-%dT%H:%M:%S}.000Z" if "LastModified" in item else ""


@pytest.mark.parametrize("operation", ["ListObjectsV2", "ListObjects"])
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_says_what_botocore_finds_in_it(client: Any, page: str, operation: str) -> None:
    expected = by_botocore(client, answer(page))
    response, ours = answer(page), {}  # type: ignore[var-annotated]
    client.meta.events.emit(
        f"before-parse.s3.{operation}",
        response_dict=response,
        customized_response_dict=ours,
        operation_model=client.meta.service_model.operation_model(operation),
    )
    assert b"<Contents" not in response["body"]
    found = {**by_botocore(client, response), **ours}
    assert found.pop("Contents") == [
        {"Key": item["Key"], "Size": item["Size"], "ETag": item.get("ETag", ""), "LastModified": written(item)}
        for item in expected.pop("Contents", [])
    ]
    assert found == expected


@pytest.mark.parametrize(
    "page,status",
    [
        ("<ListBucketResult><Contents><Key>k</Key><Size>many</Size></Contents></ListBucketResult>", 200),
        ("<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>", 200),
        ("<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", 200),
        ("<html><p>Please sign in</html>", 200),
        ("", 200),
        ("<Error><Code>AccessDenied</Code></Error>", 403),
    ],
)
def test_what_is_no_page_is_left_to_botocore(page: str, status: int) -> None:
    response, ours = answer(page, status), {}  # type: ignore[var-annotated]
    s3_listing._take_objects(response, ours)
    assert response == answer(page, status)
    assert ours == {}


def test_a_broken_page_is_an_error_of_botocores_own(client: Any) -> None:
    response = answer("<ListBucketResult><Contents>")
    s3_listing._take_objects(response, {})
    with pytest.raises(ResponseParserError):
        by_botocore(client, response)
