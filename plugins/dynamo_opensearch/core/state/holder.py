"""Who may move a target's alias: one run at a time, by its run id. Never by a clock: a slow run is not a dead one.

Backfill, replay and repair need no hold, since their writes commute. A run that the holder's run starts is handed the
holder's own DAG id and run id, and so inherits the hold. The markers are the last guard: even two runs that both
believe to hold a target cannot both move its alias.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import PassingError, PermanentError
from dynamo_opensearch.core.state.index_store import StateConflictError
from dynamo_opensearch.core.state.store import StateStore

REBUILD, ROLLBACK, CLEAN_UP, CUTOVER = "rebuild", "rollback", "clean-up", "cutover"

_ROUNDS = 5
"""Each lost race means that somebody else wrote, so the next look nearly always decides."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The run that holds a target. ``since_us``: microseconds since 1970."""

    deployment: str
    dag_id: str
    run_id: str
    purpose: str
    since_us: int

    def is_run(self, deployment: str, dag_id: str, run_id: str) -> bool:
        """Whether it is this run; run ids are unique within one DAG only."""
        return (self.deployment, self.dag_id, self.run_id) == (deployment, dag_id, run_id)

    def to_json(self) -> dict[str, Any]:
        """For the store."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**value)

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        where = f"run {self.run_id!r} of DAG {self.dag_id!r}, deployment {self.deployment!r}"
        return f"{self.purpose} ({where}, since {since})"


class TargetHeldError(PassingError):
    """Another run holds the target. ``document``: where OpenSearch keeps the hold, as a path."""

    def __init__(self, holder: Holder, document: str) -> None:
        super().__init__(holder, document)
        self.holder, self.document = holder, document

    def __str__(self) -> str:
        return (
            f"the target is held by another run: {self.holder}. Nothing was changed. Wait for that run, or mark it as "
            "failed: then its hold counts no more. If it ran in a deployment that is gone, break the hold: "
            f"curl -X DELETE $OPENSEARCH{self.document}, then start this DAG again."
        )


class HolderLostError(PermanentError):
    """This run does not hold the target (any more)."""

    def __init__(self, dag_id: str, run_id: str, holder: Holder | None) -> None:
        super().__init__(dag_id, run_id, holder)
        self.dag_id, self.run_id, self.holder = dag_id, run_id, holder

    def __str__(self) -> str:
        return (
            f"run {self.run_id!r} of DAG {self.dag_id!r} does not hold the target any more; "
            f"the holder is {self.holder or 'nobody: the hold was released or broken'}. This run stops, the alias is "
            "where it was. Start the DAG again once the target is free."
        )


class RunStates(Protocol):
    """What this deployment knows of its own runs."""

    def is_finished(self, dag_id: str, run_id: str) -> bool:
        """Whether a run has ended, well or not.

        False for a run that is not known: it may be one of another Airflow that goes by the same deployment name. Its
        hold must be broken by hand, if it was deleted before it could let go.
        """
        ...


class TargetHold:
    """The hold on one target. ``document``: path of the store's document, for the message of how to break a hold."""

    def __init__(
        self, store: StateStore, runs: RunStates, clock: Clock, deployment: str, document: str = "/<state document>"
    ) -> None:
        self._store, self._runs, self._clock = store, runs, clock
        self._deployment, self._document = deployment, document

    def take(self, dag_id: str, run_id: str, purpose: str, pre_empts: frozenset[str] = frozenset()) -> Holder:
        """Hold the target. Safe to run again: a run that has it keeps it, as it took it first.

        A holder gives way when its run is finished, or its purpose is one that the caller ``pre_empts``; it learns so
        at its next ``check``.

        Raises:
            TargetHeldError: another run has it.
            StateConflictError: others took and released it each time.
        """
        wanted = Holder(
            deployment=self._deployment, dag_id=dag_id, run_id=run_id, purpose=purpose, since_us=self._clock.time_us()
        )
        for last in (False,) * (_ROUNDS - 1) + (True,):
            current = self.holder()
            if current is not None and current.is_run(self._deployment, dag_id, run_id):
                return current
            if current is not None and current.purpose not in pre_empts and not self._is_stale(current):
                raise TargetHeldError(current, self._document)
            try:
                self._store.save(wanted.to_json())
            except StateConflictError:
                if last:
                    raise
            else:
                return wanted
        raise AssertionError("unreachable")

    def take_if_free(self, dag_id: str, run_id: str, purpose: str) -> bool:
        """Like ``take``; False where another run has it, or is just taking it. Safe to run again."""
        try:
            self.take(dag_id, run_id, purpose)
        except (TargetHeldError, StateConflictError):
            return False
        return True

    def check(self, dag_id: str, run_id: str) -> Holder:
        """The hold of this run, before a step that needs it.

        Raises:
            HolderLostError: another run has taken it, or it was broken.
        """
        current = self.holder()
        if current is None or not current.is_run(self._deployment, dag_id, run_id):
            raise HolderLostError(dag_id, run_id, current)
        return current

    def release(self, dag_id: str, run_id: str) -> bool:
        """Let go; only of one's own hold. Safe to run again. Returns whether this run had it."""
        current = self.holder()
        if current is None or not current.is_run(self._deployment, dag_id, run_id):
            return False
        try:
            self._store.save({})
        except StateConflictError:  # only one that took it over writes here: then it is not ours to release
            return False
        return True

    def holder(self) -> Holder | None:
        """Who holds the target now, be it a finished run; None when nobody does."""
        value = self._store.load()
        return Holder.from_json(value) if value else None

    def _is_stale(self, holder: Holder) -> bool:
        """Of another deployment's runs nothing is known here."""
        return holder.deployment == self._deployment and self._runs.is_finished(holder.dag_id, holder.run_id)
