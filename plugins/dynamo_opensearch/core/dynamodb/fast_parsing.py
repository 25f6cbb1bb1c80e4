"""Scan, BatchGetItem and GetRecords answers straight from bytes to dicts, past boto3's shape-driven parser.

botocore emits ``before-parse.<service>.<operation>`` with the raw answer and a dict of its own to fill; signing,
endpoints, credentials and errors stay botocore's. About five times the items per CPU second (bench/README.md).
"""

from typing import Any

import orjson

_FAST_OPERATIONS = ("dynamodb.Scan", "dynamodb.BatchGetItem", "dynamodb-streams.GetRecords")


def install_fast_parsing(client: Any) -> None:
    """Make a boto3 client of DynamoDB or its streams answer items and records in typed JSON as it came.

    Binary stays base64 text, a record's time a number of seconds. Safe to call twice: the handler has an id of its own.
    """
    for operation in _FAST_OPERATIONS:
        client.meta.events.register(f"before-parse.{operation}", _parse, unique_id=f"dynamo-opensearch-{operation}")


def _parse(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Botocore's handler: take the body over, and leave an empty object for the ordinary parser."""
    if response_dict["status_code"] == 200:
        customized_response_dict.update(orjson.loads(response_dict["body"]))
        response_dict["body"] = b"{}"
