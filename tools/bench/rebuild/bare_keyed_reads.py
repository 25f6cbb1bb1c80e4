"""Contender: the same keys by BatchGetItem, 100 a call, as many calls at once, and nothing done with the items."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tools.bench.contender import Work, contend_with
from tools.bench.ours import aws_client, members_target
from tools.bench.rebuild.follow_backlog import FollowTask
from tools.local import members

BATCH_KEYS = 100


def prepare(said: dict[str, Any]) -> Work:
    """Connect, and make the keys."""
    task = FollowTask(**said)
    client, connections = aws_client(task.dynamodb), members_target().budgets.requests_in_flight
    keys = [{members.HASH_KEY: {"S": members.member_id(number)}} for number in range(task.changes)]
    groups = [keys[start : start + BATCH_KEYS] for start in range(0, len(keys), BATCH_KEYS)]

    def read(group: list[dict[str, Any]]) -> int:
        wanted = {members.TABLE: {"Keys": group, "ConsistentRead": True}}
        answer = client.batch_get_item(RequestItems=wanted, ReturnConsumedCapacity="TOTAL")
        return len(answer["Responses"][members.TABLE])

    def work() -> int:
        with ThreadPoolExecutor(connections) as threads:
            return sum(threads.map(read, groups))

    return work


if __name__ == "__main__":
    contend_with(prepare)
