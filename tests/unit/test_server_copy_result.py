"""What the answer of a finished `_reindex` is taken for."""

from typing import Any

import pytest

from dynamo_opensearch.core.opensearch.reindex_tasks import TaskView
from dynamo_opensearch.core.rebuild.server_copy_errors import (
    ServerCopyCanceledError,
    ServerCopyIncompleteError,
    ServerCopyRefusedError,
)
from dynamo_opensearch.core.rebuild.server_copy_result import (
    check_ended_well,
    is_passing,
    is_success,
    reasons,
    report_of,
)

GOOD = {"took": 1500, "total": 10, "created": 6, "updated": 1, "version_conflicts": 2, "noops": 1, "failures": []}


def ended(error: dict[str, Any] | None = None, **changed: Any) -> TaskView:
    response = None if error else {**GOOD, **changed}
    counts = {"total": 10}
    return TaskView(task_id="n:1", is_completed=True, is_open=True, counts=counts, response=response, error=error)


def failure(status: int, error_type: str = "mapper_parsing_exception", reason: str = "") -> dict[str, Any]:
    return {"index": "v2", "id": "a", "status": status, "cause": {"type": error_type, "reason": reason}}


SEARCH = {"shard": 0, "index": "v1", "status": 404, "reason": {"type": "search_context_missing_exception"}}


def test_a_good_end_is_reported_with_all_counts() -> None:
    view = ended()
    check_ended_well(view, "v1", "v2")
    report = report_of(view, "v1", 10, 0, 2)
    assert is_success(view)
    assert not is_passing(view)
    assert (report.created, report.updated, report.stale, report.noops, report.seconds) == (6, 1, 2, 1, 1.5)
    assert "started 2 time(s)" in str(report)


@pytest.mark.parametrize(
    ("view", "passes"),
    [
        (ended(failures=[failure(429)]), True),
        (ended(failures=[failure(503), failure(500)]), True),
        (ended(failures=[SEARCH]), True),
        (ended({"type": "node_closed_exception"}), True),
        (ended(failures=[failure(400)]), False),
        (ended(failures=[failure(400), failure(503)]), False),
        (ended(canceled="by user request"), False),
    ],
)
def test_what_a_new_beginning_may_mend_is_told_from_what_needs_a_person(view: TaskView, passes: bool) -> None:
    assert is_passing(view) is passes
    assert not is_success(view)


def test_reasons_are_counted_without_values() -> None:
    text = "failed to parse field [age] of type [long] in document. Preview of field's value: 'secret'"
    found = reasons(ended(failures=[failure(400, reason=text), failure(400, reason=text), SEARCH]))
    assert found == {
        "mapper_parsing_exception, field 'age', expected long": 2,
        "search_context_missing_exception": 1,
    }
    assert reasons(ended({"type": "node_closed_exception", "reason": "x"})) == {"node_closed_exception": 1}


@pytest.mark.parametrize(
    ("view", "error"),
    [
        (ended(failures=[failure(400)]), ServerCopyRefusedError),
        (ended(canceled="by user request"), ServerCopyCanceledError),
        (ended(timed_out=True), ServerCopyIncompleteError),
    ],
)
def test_a_bad_end_is_raised(view: TaskView, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_ended_well(view, "v1", "v2")


def test_counts_that_do_not_add_up_are_an_error() -> None:
    with pytest.raises(ServerCopyIncompleteError, match="success with 9 documents, 10 were expected"):
        report_of(ended(created=5), "v1", 10, 0, 1)


def test_only_as_many_documents_may_be_missing_as_were_deleted_meanwhile() -> None:
    assert report_of(ended(), "v1", 13, 3, 1).counted == 13
    with pytest.raises(ServerCopyIncompleteError, match=r"10 documents, 11 were expected .*less 2 deleted"):
        report_of(ended(), "v1", 13, 2, 1)
