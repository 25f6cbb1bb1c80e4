"""A table whose stream is switched on as DynamoDB does it, over scripted clients."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.support.scripted_aws import Answer, RefusalError, ScriptedAws

TABLE_ARN = "arn:aws:dynamodb:eu-central-1:000000000000:table/members"
STREAM = f"{TABLE_ARN}/stream/2026-01-01T00:00:00.000"


class ScriptedTable:
    """``description``: DescribeTable's answer. ``is_shown_late``: what DescribeTable shows stays as it was."""

    def __init__(self, aws: ScriptedAws) -> None:
        self.description: Answer = {"TableName": "members", "TableStatus": "ACTIVE", "TableArn": TABLE_ARN}
        self.stream_status: str | None = "ENABLED"
        self.before_update: Callable[[], None] = lambda: None
        self.ignores_updates = self.is_shown_late = False
        self._refused: dict[str, str] = {}
        aws.scripts["dynamodb.DescribeTable"] = self._describe
        aws.scripts["dynamodb.UpdateTable"] = self._update
        aws.scripts["dynamodbstreams.DescribeStream"] = self._describe_stream

    def refuse(self, operation: str, code: str) -> None:
        """From now on."""
        self._refused[operation] = code

    def switch_on(self, view_type: str) -> None:
        """As a team's own tool does it."""
        self.description |= _with_stream(view_type)

    def _describe(self, _: Answer) -> Answer:
        self._check("DescribeTable")
        return {"Table": deepcopy(self.description)}

    def _update(self, asked: Answer) -> Answer:
        self.before_update()
        self._check("UpdateTable")
        after = deepcopy(self.description)
        if not self.ignores_updates:
            after |= _with_stream(asked["StreamSpecification"]["StreamViewType"])
        if not self.is_shown_late:
            self.description = after
        return {"TableDescription": deepcopy(after) | {"TableStatus": "UPDATING"}}

    def _describe_stream(self, asked: Answer) -> Answer:
        self._check("DescribeStream")
        if self.stream_status is None:
            raise RefusalError("ResourceNotFoundException")
        return {"StreamDescription": {"StreamArn": asked["StreamArn"], "StreamStatus": self.stream_status}}

    def _check(self, operation: str) -> None:
        if operation in self._refused:
            raise RefusalError(self._refused[operation])


def _with_stream(view_type: str) -> dict[str, Any]:
    return {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view_type}, "LatestStreamArn": STREAM}
