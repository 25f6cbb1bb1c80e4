"""Earlier reconciliations of a target, in the state index; and how far a run has drifted from them."""

from collections.abc import Sequence

from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.core.state.updating import update

KEPT_NIGHTS = 120
"""Runs that are kept; about 600 bytes each."""


def load_nights(store: StateStore) -> list[Night]:
    """Earlier runs, the oldest first."""
    return [Night.from_json(one) for one in (store.load() or {}).get("runs", ())]


def keep_night(store: StateStore, night: Night) -> None:
    """Add a run (``reconciliations|<alias>``), in the order in which they began. Safe to run again: a run has one.

    Raises:
        StateConflictError: others wrote it each time.
    """

    def change(value: dict[str, object]) -> dict[str, object]:
        runs = value.get("runs")
        others = [one for one in (runs if isinstance(runs, list) else []) if one["run_id"] != night.run_id]
        nights = sorted([*others, night.to_json()], key=lambda one: one["began_us"])
        return {"runs": nights[-KEPT_NIGHTS:]}

    update(store, change)


def last_of(nights: Sequence[Night], *depths: str) -> Night | None:
    """The newest run at one of these depths."""
    return next((night for night in reversed(nights) if night.depth in depths), None)


def drift_lines(report: ReconcileReport, nights: Sequence[Night]) -> list[str]:
    """How counts and differences have moved since the last run of the same depth; nothing where there is none."""
    earlier = last_of([night for night in nights if night.began_us < report.began_us], report.depth)
    if earlier is None:
        return []
    hours = (report.began_us - earlier.began_us) / 3.6e9
    table = report.table_count - earlier.table_count
    index = report.index_count - earlier.index_count
    line = (
        f"since the last run at depth {report.depth}, {hours:,.1f} h ago: items {table:+,}, documents {index:+,}, "
        f"differences {report.differences - earlier.differences:+,} (then {earlier.verdict})"
    )
    return [line]
