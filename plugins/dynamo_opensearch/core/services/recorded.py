"""What was put in place of what, by whom: the state document ``services|<alias>``. It is how a change is undone.

A change is recorded before it is made, with what was in service and what shall be; so a run that is killed in between
finds out, when it is tried again, how far it came. Whoever changes a component records it here: this DAG and a cutover.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.services.errors import ServiceChangedError
from dynamo_opensearch.core.services.in_service import InService, utc
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.core.state.updating import update

BEGUN, NOT_MADE = "begun", "not made"
KEPT_CHANGES = 20
"""Changes of each component that are kept; about 600 bytes each."""


@dataclass(frozen=True, kw_only=True)
class RecordedChange:
    """``shall`` in place of ``was``. Times in microseconds since 1970; ``ended_us`` is 0 until the outcome is known.

    ``was`` is nothing where the change made what it serves. ``purpose``: ``rollback`` or ``cutover``. ``outcome``:
    ``begun``, ``not made``, or what it came to.
    """

    component: str
    resource: str
    purpose: str
    deployment: str
    dag_id: str
    run_id: str
    was: InService
    shall: InService
    began_us: int
    ended_us: int = 0
    outcome: str = BEGUN

    def is_of(self, run: Run) -> bool:
        """Whether this run made it."""
        return (self.deployment, self.dag_id, self.run_id) == (run.deployment, run.dag_id, run.run_id)

    @property
    def latest_us(self) -> int:
        """When it was last heard of."""
        return max(self.began_us, self.ended_us)

    @property
    def mark(self) -> str:
        """What tells it from every other change of the component."""
        return f"{self.deployment}|{self.dag_id}|{self.run_id}|{self.began_us}"

    def to_json(self) -> dict[str, Any]:
        """For the store."""
        return asdict(self) | {"was": self.was.to_json(), "shall": self.shall.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        ends = {name: InService.from_json(value[name]) for name in ("was", "shall")}
        return cls(**{**value, **ends})

    def __str__(self) -> str:
        did = f"made, for {self.shall}," if self.was.is_nothing else f"{self.was} replaced by {self.shall}"
        return (
            f"{did} on {utc(self.began_us)} ({self.purpose}, run {self.run_id!r} of DAG {self.dag_id!r}, deployment "
            f"{self.deployment!r}: {self.outcome})"
        )


class RecordedChanges:
    """The changes of all components of one target. Other processes write the same document."""

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def last(self, component: str, resource: str) -> RecordedChange | None:
        """The last change of a component; None where there is none, or the target's file named another one then."""
        return _last(self._store.load() or {}, component, resource)

    def begin(self, change: RecordedChange, after: str | None) -> tuple[RecordedChange, bool]:
        """Record a change that is about to be made. Safe to run again: a run's own change stays as it is.

        ``after``: the mark of the last change that the plan saw; where that is this run's own, a further one follows.
        Returns what is recorded, and whether an earlier try of this run did so already.

        Raises:
            ServiceChangedError: another change was recorded since.
            StateConflictError: others wrote the document each time.
        """
        run = Run(deployment=change.deployment, dag_id=change.dag_id, run_id=change.run_id, triggered_us=0)
        own = self.last(change.component, change.resource)
        if own is not None and own.is_of(run) and own.mark != after:
            return own, True
        began = replace(change, began_us=self._clock.time_us())

        def add(value: dict[str, Any]) -> dict[str, Any]:
            last = _last(value, change.component, change.resource)
            if last == began:
                return value
            if (last.mark if last else None) != after:
                raise ServiceChangedError(change.resource, str(last))
            return _with(value, change.component, [*_changes(value, change.component), began])

        update(self._store, add)
        return began, False

    def serves(self, change: RecordedChange, now: InService) -> None:
        """Note the token that the component has got by the change. Safe to run again."""
        self._replace(change, shall=replace(change.shall, token=now.token, since_us=now.since_us))

    def give_up(self, change: RecordedChange) -> None:
        """Note that it was not made. Safe to run again."""
        self._replace(change, outcome=NOT_MADE, ended_us=self._clock.time_us())

    def end(self, component: str, run: Run, outcome: str) -> None:
        """Note what a run's change came to; nothing where the run has recorded none. Safe to run again."""
        own = [one for one in _changes(self._store.load() or {}, component) if one.is_of(run)]
        if own:
            self._replace(own[-1], outcome=outcome, ended_us=self._clock.time_us())

    def _replace(self, change: RecordedChange, **fields: Any) -> None:
        def put(value: dict[str, Any]) -> dict[str, Any]:
            changes = _changes(value, change.component)
            return _with(
                value,
                change.component,
                [replace(one, **fields) if one.mark == change.mark else one for one in changes],
            )

        update(self._store, put)


def _changes(value: Mapping[str, Any], component: str) -> list[RecordedChange]:
    return [RecordedChange.from_json(one) for one in value.get(component, ())]


def _last(value: Mapping[str, Any], component: str, resource: str) -> RecordedChange | None:
    changes = _changes(value, component)
    return changes[-1] if changes and changes[-1].resource == resource else None


def _with(value: dict[str, Any], component: str, changes: list[RecordedChange]) -> dict[str, Any]:
    return value | {component: [one.to_json() for one in changes[-KEPT_CHANGES:]]}
