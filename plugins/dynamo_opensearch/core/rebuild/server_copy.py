"""Copying one index into another inside OpenSearch: started once, watched, and found again by the task's next try."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.opensearch.cluster import PASSING_STATUSES, Cluster
from dynamo_opensearch.core.opensearch.errors import SERVICE, ConnectionLostError, OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_life import count_documents
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.reindex_tasks import (
    UNLIMITED,
    ReindexRequest,
    TaskView,
    cancel_copies_to,
    find_reindex,
    read_task,
    rethrottle,
    start_reindex,
)
from dynamo_opensearch.core.rebuild.server_copy_errors import (
    EmptySourceError,
    ServerCopyInterruptedError,
    ServerCopyLostError,
)
from dynamo_opensearch.core.rebuild.server_copy_figures import batch_documents, deletions, problem_of
from dynamo_opensearch.core.rebuild.server_copy_result import (
    ServerCopyReport,
    check_ended_well,
    is_passing,
    is_success,
    reasons,
    report_of,
)
from dynamo_opensearch.core.state.store import StateStore

log = logging.getLogger(__name__)

GC_DELETES = "7d"
"""A delete that the follower brings must be remembered until the copy, whose snapshot is older, is through."""

_LONGER_EACH_TIME = 1.1
"""So the end of the copy is noticed within a tenth of its time, or ``poll_s``."""

_MOST_STARTS = 5
_MOST_SENT = 5


@dataclass(frozen=True, kw_only=True)
class ServerCopySettings:
    """From which index to which, by their uuids too. ``marker``: what ``to_index`` carries until ``alias`` is swapped.

    ``run_id``: a copy is reconnected to by tries of the same run only. ``bulk_bytes`` bounds one batch, nearly.
    """

    run_id: str
    from_index: str
    from_uuid: str
    to_index: str
    to_uuid: str
    alias: str
    marker: str
    slices: int | str = "auto"
    bulk_bytes: int = 2_000_000
    poll_s: float = 1.0
    look_s: float = 5.0
    log_every_s: float = 10.0

    @property
    def description(self) -> str:
        """What the task list calls the copy."""
        return f"reindex from [{self.from_index}] to [{self.to_index}]"


@dataclass(frozen=True, kw_only=True)
class ServerCopyPorts:
    """``cluster`` sends once, ``patient`` until answered. ``wish``: documents a second now, None for no limit."""

    cluster: Cluster
    patient: PatientCluster
    store: StateStore
    clock: Clock
    wish: Callable[[], float | None]


@dataclass(frozen=True, kw_only=True)
class _Saved:
    """What a try leaves to the next: saved before the copy is started, and again when its task is known."""

    identity: list[str]
    counted: int
    deletes_before: int
    task_id: str | None = None
    deletes_at_open: int | None = None
    requests_per_s: float | None = None
    starts: int = 1


def copy_by_reindex(settings: ServerCopySettings, ports: ServerCopyPorts) -> ServerCopyReport:
    """Copy, or go on watching the copy that an earlier try of this run has started. Safe to run again.

    A copy that has ended well is reported once more, not made once more. One that vanished with its node is begun
    anew: what is there already is skipped by its version.

    Raises:
        EmptySourceError: the old index has no documents.
        ServerCopyRefusedError: the new index refuses documents.
        ServerCopyCanceledError, ServerCopyLostError: somebody interfered.
        ServerCopyIncompleteError, ServerCopyInterruptedError: passing; a next try copies once more.
        ServiceUnavailableError: OpenSearch did not answer for longer than the retry policy waits.
    """
    return _ServerCopy(settings, ports).run()


def cancel_reindex(settings: ServerCopySettings, patient: PatientCluster) -> int:
    """Cancel the copy without waiting for its end; returns how many tasks there were. Safe to run again."""
    return cancel_copies_to(patient, settings.to_index, waits=False)


class _ServerCopy:
    def __init__(self, settings: ServerCopySettings, ports: ServerCopyPorts) -> None:
        self._settings, self._ports = settings, ports
        self._identity = [settings.run_id, settings.from_uuid, settings.to_uuid]
        self._looked_s = ports.clock.monotonic_s()
        self._logged_s, self._done_then = self._looked_s, 0

    def run(self) -> ServerCopyReport:
        saved = self._reconnected() or self._started(1)
        while True:
            view, saved = self._watched(saved)
            if view is not None and not is_passing(view):
                return self._reported(view, saved)
            problem = "a node that went away with it" if view is None else "; ".join(reasons(view))
            log.warning("the copy to %s was broken off by %s", self._settings.to_index, problem)
            if saved.starts >= _MOST_STARTS:
                raise ServerCopyInterruptedError(self._settings.to_index, saved.starts, problem)
            saved = self._started(saved.starts + 1)

    # Starting

    def _reconnected(self) -> _Saved | None:
        """What an earlier try of this run has started, if it runs or has ended well."""
        value = self._ports.store.load()
        if value is None or value.get("identity") != self._identity:
            return None
        saved = _Saved(**value)
        # Killed between starting and saving: no other copy was running then, so the one that runs is that one.
        task_id = saved.task_id or self._found()
        view = None if task_id is None else read_task(self._ports.patient, task_id)
        if view is None or (view.is_completed and not is_success(view)):
            return None
        log.info("goes on watching the copy to %s that an earlier try has started", self._settings.to_index)
        return self._save(replace(saved, task_id=task_id, requests_per_s=None))

    def _started(self, starts: int) -> _Saved:
        settings, patient = self._settings, self._ports.patient
        if left := cancel_copies_to(patient, settings.to_index):
            log.warning("cancelled %d copies to %s that another run has left", left, settings.to_index)
        self._check_ours(settings.marker)
        patient.request("PUT", f"/{settings.to_index}/_settings", body={"index.gc_deletes": GC_DELETES})
        deletes_before = deletions(patient, settings.from_index)  # before the count, so that none between is missed
        counted = count_documents(patient, settings.from_index)
        if counted == 0:
            raise EmptySourceError(settings.from_index)
        rate = self._wished()
        request = ReindexRequest(
            from_index=settings.from_index,
            to_index=settings.to_index,
            slices=settings.slices,
            batch_documents=batch_documents(patient, settings.from_index, settings.bulk_bytes),
            requests_per_s=rate,
        )
        saved = _Saved(
            identity=self._identity,
            counted=counted,
            deletes_before=deletes_before,
            requests_per_s=rate,
            starts=starts,
        )
        self._save(saved)
        return self._save(replace(saved, task_id=self._start(request)))

    def _start(self, request: ReindexRequest) -> str:
        """Start it once, though the answer may be lost."""
        for _ in range(_MOST_SENT):
            try:
                return start_reindex(self._ports.cluster, request)
            except ConnectionLostError as error:
                problem = error.problem
            except OpenSearchRequestError as error:
                if error.status not in PASSING_STATUSES:
                    raise
                problem = str(error.summary)
            self._ports.clock.sleep(self._settings.poll_s)
            if (found := self._found()) is not None:
                return found
        raise ServiceUnavailableError(
            SERVICE, "POST /_reindex", _MOST_SENT, _MOST_SENT * self._settings.poll_s, problem
        )

    def _found(self) -> str | None:
        return next(iter(find_reindex(self._ports.patient, self._settings.description)), None)

    # Watching

    def _watched(self, saved: _Saved) -> tuple[TaskView | None, _Saved]:
        """Until the task has ended; None when it vanished."""
        wait_s = min(0.1, self._settings.poll_s)
        while True:
            view = read_task(self._ports.patient, str(saved.task_id))
            if view is None:
                return None, saved
            saved = self._noted_open(view, saved)
            if view.is_completed:
                return view, saved
            saved = self._looked(saved)
            self._log_sometimes(view)
            self._ports.clock.sleep(wait_s)
            wait_s = min(self._settings.poll_s, _LONGER_EACH_TIME * wait_s)

    def _noted_open(self, view: TaskView, saved: _Saved) -> _Saved:
        if saved.deletes_at_open is not None or not (view.is_open or view.is_completed):
            return saved
        deletes = deletions(self._ports.patient, self._settings.from_index)
        return self._save(replace(saved, deletes_at_open=deletes))

    def _looked(self, saved: _Saved) -> _Saved:
        """Now and then: is the index still ours, and does somebody want another pace?"""
        now_s = self._ports.clock.monotonic_s()
        if saved.requests_per_s is not None and now_s - self._looked_s < self._settings.look_s:
            return saved
        self._looked_s = now_s
        self._check_ours(self._settings.marker)
        wished = self._wished()
        if wished == saved.requests_per_s:
            return saved
        rethrottle(self._ports.patient, str(saved.task_id), wished)
        log.info("the copy to %s may read %g documents a second from now on", self._settings.to_index, wished)
        return self._save(replace(saved, requests_per_s=wished))

    def _check_ours(self, *aliases: str) -> None:
        settings, patient = self._settings, self._ports.patient
        problem = problem_of(patient, settings.to_index, settings.to_uuid, aliases)
        if problem:
            cancel_copies_to(patient, settings.to_index)
            raise ServerCopyLostError(settings.to_index, problem)

    def _reported(self, view: TaskView, saved: _Saved) -> ServerCopyReport:
        settings = self._settings
        self._check_ours(settings.marker, settings.alias)  # the alias: a try that is repeated after the swap
        check_ended_well(view, settings.from_index, settings.to_index)
        deleted = max(0, (saved.deletes_at_open or 0) - saved.deletes_before)
        return report_of(view, settings.from_index, saved.counted, deleted, saved.starts)

    # Small things

    def _wished(self) -> float:
        wished = self._ports.wish()
        return UNLIMITED if wished is None else wished

    def _save(self, saved: _Saved) -> _Saved:
        self._ports.store.save(asdict(saved))
        return saved

    def _log_sometimes(self, view: TaskView) -> None:
        now_s = self._ports.clock.monotonic_s()
        if now_s - self._logged_s < self._settings.log_every_s:
            return
        rate = (view.done - self._done_then) / (now_s - self._logged_s)
        self._logged_s, self._done_then = now_s, view.done
        left = max(0, view.counts["total"] - view.done)
        log.info(
            "copied %d of %d documents, %.0f/s, about %.0f s left",
            view.done,
            view.counts["total"],
            rate,
            left / rate if rate > 0 else 0.0,
        )
