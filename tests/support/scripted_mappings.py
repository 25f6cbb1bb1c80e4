"""Event source mappings in memory, with states that pass, a table's stream and a dead-letter queue."""

from collections.abc import Callable
from typing import Any

from tests.support.scripted_aws import Answer, RefusalError, ScriptedAws
from tests.support.scripted_lambda import ALIAS, ARN

TABLE = "arn:aws:dynamodb:eu-central-1:111122223333:table/members"
STREAM, FORMER = f"{TABLE}/stream/2026-02-02T00:00:00.000", f"{TABLE}/stream/2026-01-01T00:00:00.000"
QUEUE = "arn:aws:sqs:eu-central-1:111122223333:members-dlq"
GOOD: Answer = {
    "FunctionArn": f"{ARN}:{ALIAS}",
    "EventSourceArn": STREAM,
    "BatchSize": 100,
    "MaximumBatchingWindowInSeconds": 5,
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": 10,
    "MaximumRecordAgeInSeconds": 21_600,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
}


def uuid_of(number: int) -> str:
    """As long as Lambda's are."""
    return f"{number:08d}-0000-4000-8000-000000000000"


class ScriptedMappings:
    """``found``: by UUID. ``states``: those that a mapping goes through, one at each look at it.

    ``refusals``: codes by operation, once each; ``interludes``: what somebody else does before an operation, once.
    """

    def __init__(self, aws: ScriptedAws, page: int = 100) -> None:
        self.aws, self.page = aws, page
        self.found: dict[str, Answer] = {}
        self.states: dict[str, list[str]] = {}
        self.stream_is_on = True
        self.refusals: dict[str, str] = {}
        self.interludes: dict[str, Callable[[], Any]] = {}
        operations = {
            "lambda.GetEventSourceMapping": self._get,
            "lambda.ListEventSourceMappings": self._list,
            "lambda.CreateEventSourceMapping": self._create,
            "lambda.UpdateEventSourceMapping": self._update,
            "dynamodb.DescribeTable": self._table,
            "sqs.GetQueueUrl": lambda _: {
                "QueueUrl": "https://sqs.eu-central-1.amazonaws.com/111122223333/members-dlq"
            },
            "sqs.GetQueueAttributes": lambda _: {"Attributes": {"QueueArn": QUEUE}},
        }
        aws.scripts |= {name: self._guarded(name, act) for name, act in operations.items()}

    def add(self, uuid: str, *states: str, **changes: Any) -> None:
        """One that is there, as the contract has it but for the changes."""
        self.found[uuid] = {"UUID": uuid, **GOOD, "State": states[0] if states else "Enabled", **changes}
        self.states[uuid] = list(states[1:])

    @property
    def writes(self) -> list[str]:
        """What was asked that changes something."""
        return [name for name, _ in self.aws.calls if name.startswith(("lambda.Create", "lambda.Update"))]

    def _guarded(self, name: str, act: Callable[[Answer], Answer]) -> Callable[[Answer], Answer]:
        operation = name.partition(".")[2]

        def answer(asked: Answer) -> Answer:
            self.interludes.pop(operation, lambda: None)()
            if (code := self.refusals.pop(operation, None)) is not None:
                raise RefusalError(code)
            return act(asked)

        return answer

    def _look(self, uuid: str) -> Answer:
        """As it is; afterwards it is in its next state. ``gone`` takes it away."""
        seen = dict(self.found[uuid])
        if self.states[uuid]:
            state = self.states[uuid].pop(0)
            if state == "gone":
                del self.found[uuid]
            else:
                self.found[uuid]["State"] = state
        return seen

    def _get(self, asked: Answer) -> Answer:
        if asked["UUID"] not in self.found:
            raise RefusalError("ResourceNotFoundException", 404)
        return self._look(asked["UUID"])

    def _list(self, asked: Answer) -> Answer:
        assert set(asked) <= {"EventSourceArn", "Marker"}
        names = [name for name, one in self.found.items() if one["EventSourceArn"] == asked["EventSourceArn"]]
        start = int(asked.get("Marker", 0))
        more = {"NextMarker": str(start + self.page)} if start + self.page < len(names) else {}
        return {"EventSourceMappings": [self._look(one) for one in names[start : start + self.page]], **more}

    def _create(self, asked: Answer) -> Answer:
        function, _, alias = asked["FunctionName"].partition(":")
        arn = f"{ARN.rpartition(':')[0]}:{function}" + (f":{alias}" if alias else "")
        for one in self.found.values():
            if (one["FunctionArn"], one["EventSourceArn"]) == (arn, asked["EventSourceArn"]):
                raise RefusalError("ResourceConflictException", 409)
        uuid = uuid_of(len(self.found) + 1)
        settings = {name: value for name, value in asked.items() if name not in ("FunctionName", "Enabled")}
        self.found[uuid] = {"UUID": uuid, **settings, "FunctionArn": arn, "State": "Creating"}
        self.states[uuid] = ["Creating", "Enabling", "Enabled"]
        return dict(self.found[uuid])

    def _update(self, asked: Answer) -> Answer:
        assert set(asked) == {"UUID", "Enabled"}
        self.found[asked["UUID"]]["State"] = "Enabling"
        self.states[asked["UUID"]] = ["Enabled"]
        return dict(self.found[asked["UUID"]])

    def _table(self, asked: Answer) -> Answer:
        return {
            "Table": {
                "TableName": asked["TableName"],
                "LatestStreamArn": STREAM,
                "StreamSpecification": {"StreamEnabled": self.stream_is_on},
            }
        }
