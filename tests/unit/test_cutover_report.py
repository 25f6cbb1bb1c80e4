"""The table of a cutover's steps: done with what, left out, or not come to."""

from dynamo_opensearch.operators.cutover.report import ReportCutoverOperator, table_of
from tests.support.adapters import FakeInstance


def test_each_step_is_told_with_what_came_of_it() -> None:
    states = {
        "wait_for_domain": "success",
        "make_index": "success",
        "enable_stream": "success",
        "canary": "skipped",
        "backfill": "has not run",
    }
    values = {"wait_for_domain": "3.8.0", "make_index": {"index": "members-v1", "was_there": False}}
    assert table_of(states, values).splitlines() == [
        "wait_for_domain  done: 3.8.0",
        'make_index       done: {"index":"members-v1","was_there":false}',
        "enable_stream    done",
        "canary           left out: see its log",
        "backfill         has not run",
    ]


def test_the_states_are_those_of_this_run() -> None:
    instance = FakeInstance(task_states={"make_index": "success"}, returned={"make_index": "x"})
    report = ReportCutoverOperator(task_id="report", steps=("make_index", "canary"))
    assert report.execute(instance.context) == {"make_index": "success", "canary": "has not run"}
