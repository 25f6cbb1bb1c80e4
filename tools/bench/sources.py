"""What the contenders read: a recording of real Scan pages, and the bulk bodies of the ceiling."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import boto3

from tools.bench.pages import RecordedPage, recorded_page, save_pages
from tools.local import members, ministack, paths

sys.path.append(str(paths.ROOT / "plugins"))

from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.offer.bulk_request import encode_bulk
from dynamo_opensearch.core.offer.reading import Reading, document_bytes
from tools.bench.ours import members_target

FOLDER = paths.BUILD / "bench"
PAGE_ITEMS = 1_500
"""Items of a page: about a megabyte of typed JSON."""

_ANY_STAMP_US = 1_700_000_000_000_000


def members_client(url: str, service: str = "dynamodb") -> Any:
    """A plain boto3 client."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=ministack.REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def load_members(url: str, count: int) -> Any:
    """A table without a stream, filled; returns the client."""
    client = members_client(url)
    client.create_table(
        TableName=members.TABLE,
        KeySchema=[{"AttributeName": members.HASH_KEY, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": members.HASH_KEY, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=members.TABLE, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    members.load(client, members.TABLE, count)
    return client


def recording(count: int) -> Path:
    """The folder with the Scan pages of ``count`` members, recorded from MiniStack when it is not there yet."""
    folder = FOLDER / f"pages-{count}"
    if not (folder / ".complete").exists():
        with ministack.started(FOLDER / "recording") as server:
            save_pages(record_pages(load_members(server.url, count)), folder)
        (folder / ".complete").touch()
    return folder


def record_pages(client: Any) -> list[RecordedPage]:
    """One scan of the whole table; the pages keep the typed JSON as it came."""
    pages: list[RecordedPage] = []
    arguments: dict[str, Any] = {}
    client.meta.events.register("before-parse.dynamodb.Scan", _keep_typed_json)
    while True:
        answer = client.scan(TableName=members.TABLE, Limit=PAGE_ITEMS, ReturnConsumedCapacity="TOTAL", **arguments)
        answer.pop("ResponseMetadata")
        if answer["Items"]:
            pages.append(recorded_page(answer))
        if "LastEvaluatedKey" not in answer:
            return pages
        arguments = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _keep_typed_json(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    customized_response_dict.update(json.loads(response_dict["body"]))
    response_dict["body"] = b"{}"


def bulk_bodies(pages: Path) -> Path:
    """The folder with the requests that contender b makes of a recording: the same documents, the same sizes."""
    folder = FOLDER / "bodies"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target = members_target()
    builder = DocumentBuilder(target.key, target.documents)
    bodies: list[list[Any]] = [[]]
    size = 0
    for path in sorted(pages.glob("*.json")):
        for document in builder.build(json.loads(path.read_bytes())["Items"]).documents:
            adds = document_bytes(document)
            if size + adds > target.budgets.bulk_bytes:
                bodies.append([])
                size = 0
            bodies[-1].append(document)
            size += adds
    for number, documents in enumerate(bodies):
        reading = Reading(documents, _ANY_STAMP_US, 0.0, "", 0)
        (folder / f"{number:05}.ndjson").write_bytes(encode_bulk([reading], "external"))
    return folder
