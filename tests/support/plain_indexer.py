"""An indexer as many teams have one: plain PUT and DELETE, without versions, record by record.

It is what ``indexer_writes: unversioned`` is for. It shares no code with the package.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

Event = dict[str, Any]

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PlainIndexer:
    """A handler for the local event source mapping. ``carried``: records that it has written."""

    def __init__(self, opensearch_url: str, alias: str, key: tuple[str, ...] = ("id",)) -> None:
        self._url, self._key, self.carried = f"{opensearch_url}/{alias}/_doc", key, 0

    def __call__(self, event: Event, _context: Any) -> dict[str, Any]:
        """Write each record, in order; the first that fails is reported, and with it all that come after it."""
        for record in event["Records"]:
            try:
                self._carry(record)
            except OSError:
                return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
            self.carried += 1
        return {"batchItemFailures": []}

    def _carry(self, record: Event) -> None:
        values = [next(iter(record["dynamodb"]["Keys"][name].values())) for name in self._key]
        url = f"{self._url}/{urllib.parse.quote('|'.join(values), safe='')}"
        if record["eventName"] == "REMOVE":
            _send(url, "DELETE", None)
        else:
            _send(f"{url}?require_alias=true", "PUT", document(record["dynamodb"]["NewImage"]).encode())


def document(image: Event) -> str:
    """The image as JSON text, numbers with all their digits."""
    return "{" + ",".join(f"{json.dumps(name)}:{_json(value)}" for name, value in image.items()) + "}"


def _json(value: Event) -> str:
    ((kind, content),) = value.items()
    if kind == "M":
        return document(content)
    if kind == "L":
        return "[" + ",".join(map(_json, content)) + "]"
    if kind == "N":
        return str(content)
    if kind == "NS":
        return "[" + ",".join(content) + "]"
    return json.dumps(None if kind == "NULL" else content)


def _send(url: str, method: str, body: bytes | None) -> None:
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": "application/json"})
    try:
        with _opener.open(request, timeout=30) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        if method != "DELETE" or error.code != 404:
            raise
