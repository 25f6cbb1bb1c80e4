"""A boto3 client for SQS without a socket: it answers by a test's script, else as an empty queue does."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from tests.support.fakes import FakeClock

Answer = dict[str, Any]


class ScriptedSqs:
    """Each method answers the next thing of its script: a dict, an exception, or a function of the arguments.

    Without a script, batches succeed, and a receive finds nothing when its wait has gone by.
    """

    class meta:  # noqa: N801 - botocore's name
        region_name = "eu-central-1"

    def __init__(self, clock: FakeClock, **scripts: list[Any]) -> None:
        self.clock, self.scripts = clock, scripts
        self.calls: list[tuple[str, Answer]] = []

    def made(self, name: str) -> list[Answer]:
        """The arguments of this method's calls."""
        return [arguments for called, arguments in self.calls if called == name]

    def receive_message(self, **arguments: Any) -> Answer:
        return self._answer("receive_message", arguments, self._nothing)

    def delete_message_batch(self, **arguments: Any) -> Answer:
        return self._answer("delete_message_batch", arguments, all_succeed)

    def change_message_visibility_batch(self, **arguments: Any) -> Answer:
        return self._answer("change_message_visibility_batch", arguments, all_succeed)

    def get_queue_url(self, **arguments: Any) -> Answer:
        return self._answer(
            "get_queue_url", arguments, lambda asked: {"QueueUrl": f"https://sqs/1/{asked['QueueName']}"}
        )

    def get_queue_attributes(self, **arguments: Any) -> Answer:
        return self._answer("get_queue_attributes", arguments, lambda asked: {"Attributes": {}})

    def _answer(self, name: str, arguments: Answer, default: Callable[[Answer], Answer]) -> Answer:
        self.calls.append((name, arguments))
        script = self.scripts.get(name)
        answer = script.pop(0) if script else default
        if isinstance(answer, Exception):
            raise answer
        found: Answer = answer(arguments) if callable(answer) else answer
        return found

    def _nothing(self, asked: Answer) -> Answer:
        self.clock.pass_s(asked["WaitTimeSeconds"])
        return {}


def all_succeed(asked: Answer) -> Answer:
    """Every entry of a batch."""
    return {"Successful": [{"Id": one["Id"]} for one in asked["Entries"]], "Failed": []}


def failing(code: str, *, is_sender_fault: bool, receipts: tuple[str, ...]) -> Callable[[Answer], Answer]:
    """A batch in which the entries of these receipts fail."""

    def answer(asked: Answer) -> Answer:
        failed = [one for one in asked["Entries"] if one["ReceiptHandle"] in receipts]
        return {
            "Successful": [{"Id": one["Id"]} for one in asked["Entries"] if one not in failed],
            "Failed": [{"Id": one["Id"], "SenderFault": is_sender_fault, "Code": code} for one in failed],
        }

    return answer


def message(name: str, receipt: str = "", **attributes: str) -> Answer:
    """A message as ReceiveMessage answers it."""
    return {"MessageId": name, "ReceiptHandle": receipt or f"receipt of {name}", "Body": name, "Attributes": attributes}


def messages(*names: str) -> Answer:
    """An answer of ReceiveMessage."""
    return {"Messages": [message(name) for name in names]}


def error(code: str, status: int = 400, text: str = "the receipt AQEB is not valid") -> ClientError:
    """A request refused as a whole."""
    return ClientError(
        {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}, "ReceiveMessage"
    )
