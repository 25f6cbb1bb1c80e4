"""Faults for a FaultProxy: each is a function that gets one exchange and answers it, or does not."""

import json
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from tests.support.fault_proxy import Answer, Exchange, Fault

_DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
_THROTTLING = {
    "ProvisionedThroughputExceededException": (
        _DYNAMODB,
        (
            "The level of configured provisioned throughput for the table was exceeded. "
            "Consider increasing your provisioning level with the UpdateTable API."
        ),
    ),
    "ThrottlingException": ("com.amazon.coral.availability#", "Rate exceeded"),
    "RequestLimitExceeded": (_DYNAMODB, "Throughput exceeds the current throughput limit for your account."),
}


def answered(status: int, body: object, content_type: str = "application/json") -> Fault:
    """This answer; the request does not reach the server."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def fault(exchange: Exchange) -> None:
        exchange.reply(Answer(status, {"Content-Type": content_type}, data))

    return fault


def opensearch_error(status: int, error_type: str, reason: str) -> Fault:
    """A whole request refused as OpenSearch does it."""
    error = {"type": error_type, "reason": reason}
    return answered(status, {"error": {"root_cause": [error], **error}, "status": status})


def unavailable() -> Fault:
    """503 as a load balancer in front of OpenSearch says it."""
    return answered(503, b"<html><body><h1>503 Service Unavailable</h1></body></html>", "text/html")


def overloaded() -> Fault:
    """429 for a whole bulk, as OpenSearch's indexing pressure refuses it."""
    return opensearch_error(
        429,
        "rejected_execution_exception",
        "rejected execution of coordinating operation [coordinating_and_primary_bytes=53687091, "
        "replica_bytes=0, all_bytes=53687091, coordinating_operation_bytes=1048576, max_coordinating_and_primary_"
        "bytes=53687091]",
    )


def no_permission() -> Fault:
    """403 of OpenSearch's security plugin for a whole request."""
    return opensearch_error(
        403, "security_exception", "no permissions for [indices:data/write/bulk] and User [name=indexer, roles=[]]"
    )


def aws_error(code: str, message: str, status: int = 400, prefix: str = _DYNAMODB) -> Fault:
    """An error of DynamoDB in AWS's own shape: JSON 1.0, ``__type``, request id and checksum."""
    body = json.dumps({"__type": prefix + code, "message": message}).encode()

    def fault(exchange: Exchange) -> None:
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-RequestId": uuid.uuid4().hex.upper(),
            "x-amz-crc32": str(zlib.crc32(body)),
            "Date": formatdate(usegmt=True),
        }
        exchange.reply(Answer(status, headers, body))

    return fault


def throttled(code: str = "ProvisionedThroughputExceededException") -> Fault:
    """Too many requests, by one of the names that DynamoDB has for it."""
    prefix, message = _THROTTLING[code]
    return aws_error(code, message, prefix=prefix)


def access_denied(action: str = "dynamodb:Scan") -> Fault:
    """IAM says no."""
    return aws_error(
        "AccessDeniedException",
        f"User: arn:aws:sts::123456789012:assumed-role/worker/i-0 is not authorized to perform: {action} on resource: "
        f"arn:aws:dynamodb:eu-central-1:123456789012:table/members because no identity-based policy allows the "
        f"{action} action",
        prefix="com.amazon.coral.service#",
    )


def reset_before_forwarding() -> Fault:
    """The connection breaks; the server never sees the request."""
    return lambda exchange: exchange.reset()


def reset_in_mid_answer() -> Fault:
    """The server carries the request out; the connection breaks in the middle of its answer."""

    def fault(exchange: Exchange) -> None:
        exchange.reply_part(exchange.forward())
        exchange.reset()

    return fault


def cut_off(share: float = 0.5) -> Fault:
    """Carried out; an answer that is a whole one by its length, and a part of one by its content."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        body = answer.body[: int(len(answer.body) * share)]
        exchange.reply(Answer(answer.status, _without_checksum(answer.headers), body))

    return fault


def held(seconds: float) -> Fault:
    """Carried out at once; the answer comes late."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        time.sleep(seconds)
        exchange.reply(answer)

    return fault


def delayed(seconds: float) -> Fault:
    """Carried out late, whether or not the client still waits."""

    def fault(exchange: Exchange) -> None:
        time.sleep(seconds)
        exchange.reply(exchange.forward())

    return fault


def after(action: Callable[[], object]) -> Fault:
    """Carried out after this action, which runs while the request is on its way."""

    def fault(exchange: Exchange) -> None:
        action()
        exchange.reply(exchange.forward())

    return fault


def then(action: Callable[[], object]) -> Fault:
    """Carried out, and this action run before the answer is passed on."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        action()
        exchange.reply(answer)

    return fault


def answer_changed(change: Callable[[dict[str, Any]], object]) -> Fault:
    """Carried out; this is done to the answer's JSON."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        content = json.loads(answer.body)
        change(content)
        exchange.reply(Answer(answer.status, _without_checksum(answer.headers), json.dumps(content).encode()))

    return fault


def date_shifted(seconds: float) -> Fault:
    """The server's clock is off by so much (more: ahead of the client's)."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        names = [name for name in answer.headers if name.lower() == "date"]
        moment = parsedate_to_datetime(answer.headers[names[0]]).timestamp() if names else time.time()
        headers = {name: value for name, value in answer.headers.items() if name not in names}
        exchange.reply(
            Answer(answer.status, {**headers, "Date": formatdate(moment + seconds, usegmt=True)}, answer.body)
        )

    return fault


def some_documents(
    chosen: Callable[[str], bool],
    status: int = 429,
    error_type: str = "rejected_execution_exception",
    reason: str = "busy",
) -> Fault:
    """Of a bulk request the chosen documents (by id) are refused, and do not reach the server."""

    def fault(exchange: Exchange) -> None:
        actions = bulk_actions(exchange.body)
        passed = [lines for lines in actions if not chosen(action_id(lines))]
        entries = []
        if passed:
            answer = exchange.forward(b"".join(line + b"\n" for lines in passed for line in lines))
            entries = json.loads(answer.body)["items"]
        merged = iter(entries)
        items = [
            _refused(lines, exchange, status, error_type, reason) if chosen(action_id(lines)) else next(merged)
            for lines in actions
        ]
        body = json.dumps({"errors": True, "items": items}).encode()
        exchange.reply(Answer(200, {"Content-Type": "application/json"}, body))

    return fault


def unprocessed_keys(left: int) -> Fault:
    """BatchGetItem leaves its last keys for another request."""

    def fault(exchange: Exchange) -> None:
        request = json.loads(exchange.body)
        ((table, wanted),) = request["RequestItems"].items()
        keys = wanted["Keys"]
        done, undone = keys[:-left], keys[-left:]
        if done:
            request["RequestItems"][table] = {**wanted, "Keys": done}
            answer = exchange.forward(json.dumps(request).encode())
            content, headers = json.loads(answer.body), _without_checksum(answer.headers)
        else:
            content, headers = {"Responses": {table: []}}, {"Date": formatdate(usegmt=True)}
        content["UnprocessedKeys"] = {table: {**wanted, "Keys": undone}}
        exchange.reply(Answer(200, headers, json.dumps(content).encode()))

    return fault


def bulk_actions(body: bytes) -> list[list[bytes]]:
    """The lines of each action of a bulk request."""
    lines = iter(body.splitlines())
    return [[line] if b'"delete"' in line[:10] else [line, next(lines)] for line in lines]


def action_id(lines: Sequence[bytes]) -> str:
    """The document id of an action."""
    ((_, target),) = json.loads(lines[0]).items()
    return str(target["_id"])


def _refused(lines: Sequence[bytes], exchange: Exchange, status: int, error_type: str, reason: str) -> dict[str, Any]:
    ((verb, target),) = json.loads(lines[0]).items()
    index = exchange.path.split("/")[1]
    return {
        verb: {"_index": index, "_id": target["_id"], "status": status, "error": {"type": error_type, "reason": reason}}
    }


def _without_checksum(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "x-amz-crc32"}
