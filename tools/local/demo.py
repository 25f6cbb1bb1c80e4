"""`make demo`: members from DynamoDB into OpenSearch by Airflow, on this machine, watched.

DEMO_ITEMS changes how many (100,000); DEMO_EXIT=1 leaves at the end instead of waiting for Ctrl-C.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tools.local import airflow, backfill_progress, http, members, ministack, opensearch, paths, ports
from tools.local.airflow_api import FAILED, FINISHED, AirflowApi, DagMissingError
from tools.local.connections import aws_client, connections
from tools.local.lifetime import ended_in_order, only_one
from tools.local.processes import ServerError, running_together

DAG_ID = "members_backfill"
ALIAS = "members-live"
FOLDER = paths.BUILD / "demo"
COMPARED = ("missing", "orphaned", "mended", "in_motion")
POLL_S = 1.0
LOG_LINES = 25

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The three servers of the demo, and where Airflow keeps its files."""

    dynamodb: Any
    search_url: str
    airflow: AirflowApi
    airflow_home: Path


def main() -> int:
    """Show the backfill from nothing to a search; 0 when both sides hold the same number of items."""
    count = int(os.environ.get("DEMO_ITEMS", "100000"))
    with ended_in_order(), only_one(FOLDER), servers() as stack:
        load(stack.dynamodb, count)
        succeeded = backfill(stack) and compare(stack)
        if succeeded:
            search(stack)
        console.print(f"\nAirflow:    {stack.airflow.url}/dags/{DAG_ID}\nOpenSearch: {stack.search_url}")
        if os.environ.get("DEMO_EXIT") != "1":
            console.print("Ctrl-C stops everything.")
            wait_for_ctrl_c()
    return 0 if succeeded else 1


@contextmanager
def servers() -> Iterator[Stack]:
    """OpenSearch, MiniStack and Airflow, side by side and empty."""
    for name in ("ministack", "opensearch", "airflow"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    aws = ministack.plan_launch(FOLDER / "ministack", ports.free_port())
    search = opensearch.plan_launch(FOLDER / "opensearch", ports.free_port(opensearch.HTTP_PORTS), ports.free_port())
    scheduler = airflow.plan_launch(FOLDER / "airflow", ports.free_port(), connections(aws, search))
    console.print("Starting OpenSearch, MiniStack and Airflow (about 30 s) ...")
    began = time.monotonic()
    with running_together([aws, search, scheduler]):
        console.print(f"  all three are up after {time.monotonic() - began:.0f} s")
        aws_client("sqs", aws.url).create_queue(QueueName=members.DEAD_LETTER_QUEUE)
        yield Stack(
            dynamodb=aws_client("dynamodb", aws.url),
            search_url=search.url,
            airflow=AirflowApi(scheduler.url),
            airflow_home=scheduler.folder,
        )
        console.print("Stopping ...")


def load(client: Any, count: int) -> None:
    """Fill the members table."""
    console.print(f"Loading {count:,} members into DynamoDB ...")
    began = time.monotonic()
    members.create_table(client)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("loading", total=count)
        members.load(client, members.TABLE, count, on_progress=lambda more: bars.advance(bar, more))
    rate = count / (time.monotonic() - began)
    console.print(f"  {count:,} items, {rate:,.0f} items/s")


def backfill(stack: Stack) -> bool:
    """Run the DAG and show how far it is; whether it succeeded. A failure's log is printed."""
    api = stack.airflow
    api.wait_for_dag(DAG_ID)
    api.unpause(DAG_ID)
    run_id = api.trigger(DAG_ID)
    console.print(f"Running {DAG_ID} ({run_id}) ...")
    began = time.monotonic()
    state = watch(api, run_id)
    console.print(f"  {state} after {time.monotonic() - began:.0f} s")
    if state == "success":
        print_comparison(api, run_id)
    else:
        print_failures(api, run_id)
    return state == "success"


def watch(api: AirflowApi, run_id: str) -> str:
    """Show what runs, and the mapped tasks' progress, until the run has ended; its state."""
    clock = Stopwatch()
    shown: set[str] = set()
    with backfill_progress.view_for(console) as view:
        while True:
            state = api.run_state(DAG_ID, run_id)
            tasks = api.task_instances(DAG_ID, run_id)
            mapped = [task for task in tasks if task["map_index"] >= 0]
            kept = [(api.state(task, "progress"), task["state"] or "waiting") for task in mapped]
            if any(value for value, _ in kept):
                clock.start()
            if kept and all(task_state == "success" for _, task_state in kept):
                clock.stop()
            view.show(backfill_progress.gather(kept, clock.seconds))
            begun = {task["task_id"] for task in tasks if task["start_date"]}
            for task_id in sorted(begun - shown):
                console.print(f"  task {task_id}")
            shown |= begun
            if state in FINISHED:
                return state
            time.sleep(POLL_S)


class Stopwatch:
    """Seconds from its first start to its first stop. Started by a poll, so half a poll's time is added."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._stopped: float | None = None

    def start(self) -> None:
        """Begin to count, if it has not begun."""
        self._started = self._started or time.monotonic() - POLL_S / 2

    def stop(self) -> None:
        """Stop counting, if it has not stopped."""
        self._stopped = self._stopped or time.monotonic()

    @property
    def seconds(self) -> float:
        """What it has counted so far."""
        if self._started is None:
            return 0.0
        return (self._stopped or time.monotonic()) - self._started


def print_comparison(api: AirflowApi, run_id: str) -> None:
    """What the run found when it compared both sides."""
    outcome = api.returned(DAG_ID, run_id, "verify")
    kinds = ", ".join(f"{outcome[kind]:,} {kind.replace('_', ' ')}" for kind in COMPARED)
    console.print(f"  compared {outcome['table_count']:,} items with {outcome['index_count']:,} documents: {kinds}")


def print_failures(api: AirflowApi, run_id: str) -> None:
    """The end of each failed task's log."""
    for task in api.task_instances(DAG_ID, run_id):
        if task["state"] in FAILED:
            console.print(f"\n[bold]{task['task_id']} \\[{task['map_index']}] {task['state']}[/bold]")
            if task["state"] == "failed":
                console.print("\n".join(api.log_lines(task)[-LOG_LINES:]), markup=False)


def compare(stack: Stack) -> bool:
    """Count both sides, by plain calls that share nothing with the package; whether they are equal."""
    in_table = count_items(stack.dynamodb)
    in_index = http.call(f"{stack.search_url}/{ALIAS}/_count")["count"]
    verdict = "the same" if in_table == in_index else "NOT the same"
    console.print(f"DynamoDB holds {in_table:,} items, OpenSearch {in_index:,} documents: {verdict}.")
    return bool(in_table == in_index)


def count_items(client: Any) -> int:
    """The table's items, every page counted."""
    pages = client.get_paginator("scan").paginate(TableName=members.TABLE, Select="COUNT")
    return sum(page["Count"] for page in pages)


def search(stack: Stack) -> None:
    """Find members by name through the alias, and show one."""
    wanted = members.member(0)
    fields = ("firstName", "lastName")
    query = {"query": {"bool": {"must": [{"match": {field: wanted[field]}} for field in fields]}}, "size": 1}
    hits = http.call(f"{stack.search_url}/{ALIAS}/_search", method="POST", body=query)["hits"]
    name = " ".join(wanted[field] for field in fields)
    console.print(f"{ALIAS} finds {hits['total']['value']:,} members named {name}; the first:")
    for hit in hits["hits"]:
        console.print_json(data=hit["_source"], ensure_ascii=False)


def wait_for_ctrl_c() -> None:
    """Return on Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; everything is stopped.")
    except (ServerError, DagMissingError) as error:
        sys.exit(str(error))
