"""The bare scan rate of a source: Scan page after page through the fast path, and nothing done with the items."""

from typing import Any

from tools.bench.contender import Task, Work, contend
from tools.bench.ours import aws_client


def prepare(task: Task) -> Work:
    """Connect."""
    client = aws_client(task.source)
    limit = {} if task.scan_limit is None else {"Limit": task.scan_limit}

    def work() -> int:
        return sum(_scan_segment(client, task, segment, limit) for segment in task.segments)

    return work


def _scan_segment(client: Any, task: Task, segment: int, limit: dict[str, int]) -> int:
    arguments: dict[str, Any] = {"Segment": segment, "TotalSegments": task.total_segments, **limit}
    items = 0
    while True:
        page = client.scan(TableName=task.table, ReturnConsumedCapacity="TOTAL", **arguments)
        items += len(page["Items"])
        if "LastEvaluatedKey" not in page:
            return items
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


if __name__ == "__main__":
    contend(prepare)
