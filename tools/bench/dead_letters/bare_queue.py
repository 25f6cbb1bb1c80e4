"""Contender: the same messages received and deleted, ten at a time, as many calls at once, and not even read."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tools.bench.contender import Work, contend_with
from tools.bench.dead_letters.consumer import ReplayTask
from tools.bench.ours import aws_client

_THREADS = 4
_BATCH = 10


def prepare(said: dict[str, Any]) -> Work:
    """Connect."""
    task = ReplayTask(**said)
    client = aws_client(task.sqs, "sqs")

    def drain(_number: int) -> None:
        while messages := client.receive_message(QueueUrl=task.queue_url, MaxNumberOfMessages=_BATCH).get("Messages"):
            entries = [{"Id": one["MessageId"], "ReceiptHandle": one["ReceiptHandle"]} for one in messages]
            client.delete_message_batch(QueueUrl=task.queue_url, Entries=entries)

    def work() -> int:
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(drain, range(_THREADS)))
        return task.records

    return work


if __name__ == "__main__":
    contend_with(prepare)
