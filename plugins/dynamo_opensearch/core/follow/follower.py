"""The follower of one target: every change of the table into every index that the indexer does not feed."""

import logging
from dataclasses import replace

from dynamo_opensearch.core.follow.backlog import Backlog
from dynamo_opensearch.core.follow.feeds import plan_feeds
from dynamo_opensearch.core.follow.membership import Membership, plan_membership
from dynamo_opensearch.core.follow.settings import FollowPorts, FollowSettings, FollowStep
from dynamo_opensearch.core.follow.starts import noted_start
from dynamo_opensearch.core.follow.state import FollowState, resumed_state
from dynamo_opensearch.core.look.feeds import Feed, target_indices
from dynamo_opensearch.core.look.looker import LiveFeed, Looker
from dynamo_opensearch.core.look.reject_log import RejectLog
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.stream.position import StreamPosition

__all__ = ["FollowPorts", "FollowSettings", "FollowStep", "Follower"]

log = logging.getLogger(__name__)

_MOST_GAPS = 100
_AFTER_A_MOVE_S = 0.25
_LOG_EVERY_S = 30.0


class Follower:
    """Steps through the stream. Not thread-safe; uses threads of its own within a step.

    It can be abandoned at any point: another one goes on from the state that was saved. Two at once do no harm; the
    one that began earlier stops with StateConflictError.
    """

    def __init__(self, settings: FollowSettings, ports: FollowPorts) -> None:
        self._settings, self._ports, self._clock = settings, ports, ports.clock
        self._state = resumed_state(ports.store.load(), settings.stream_arn, self._clock.time_us())
        self._rejects = RejectLog(ports.sink_for, self._state.parts, self._state.rejects)
        self._backlog = self._open(self._state.position)
        self._live: dict[Feed, LiveFeed] = {}
        self._key_attributes: tuple[str, ...] = ()
        self._planned_s: float | None = None
        self._saved_s = self._logged_s = self._clock.monotonic_s()
        self._logged_records = self._state.counts.records
        self._has_moved = self._was_quiet = False

    @property
    def state(self) -> FollowState:
        """What was saved last, with the counts and gaps of now."""
        return self._state

    def step(self) -> FollowStep:
        """One pass: plan what is fed, read what is there, look at what is due, save what is done.

        Raises:
            StateConflictError: another follower of this target has taken over.
            ServiceUnavailableError, AccessDeniedError, WorkerClockError: as the reads and writes; what was
                acknowledged until then and not saved is done again by the next follower.
            StreamMissingError: the stream is not there.
            AliasAmbiguousError: a marker leads to several indices.
        """
        self._plan_sometimes()
        if not self._live:
            return FollowStep(is_fed=self._has_moved, wait_s=_AFTER_A_MOVE_S)
        self._count(records=self._backlog.read(self._key_attributes))
        self._note_gaps()
        self._look()
        self._drop_what_is_paid()
        step = self._outcome()
        self._save_sometimes(step.quiet_s is not None)
        return step

    # What is fed

    def _plan_sometimes(self) -> None:
        now_s = self._clock.monotonic_s()
        is_due = self._planned_s is None or now_s - self._planned_s >= self._settings.plan_every_s
        if is_due or self._has_moved:
            self._planned_s, self._has_moved = now_s, False
            self._plan()

    def _plan(self) -> None:
        indices = target_indices(self._ports.patient, self._settings.alias)
        feeds = plan_feeds(indices, self._settings.alias, self._state.joined)
        owed_until_us = self._clock.time_us() + round(2 * self._settings.stamps.margin_s * 1e6)
        members = plan_membership(feeds, self._settings.alias, self._state.joined, owed_until_us)
        if members.newcomers:
            self._join(members)
        elif members.joined != self._state.joined:
            self._save(replace(self._state, joined=members.joined))
        self._live = {feed: live for feed in feeds if (live := self._live.get(feed) or self._make_live(feed))}

    def _make_live(self, feed: Feed) -> LiveFeed | None:
        try:
            builder = self._ports.builder_for(feed.index)
        except OpenSearchRequestError as error:
            if error.status != 404:
                raise
            self._has_moved = True  # it was deleted since the plan was made
            return None
        self._key_attributes = builder.key_attributes
        return LiveFeed(feed, builder, self._ports.sender_for(feed.write_alias, feed.is_fed_by_indexer))

    def _join(self, members: Membership) -> None:
        """Go back to where the newcomers begin. Saved before anything is read for them."""
        starts = {feed.uuid: noted_start(self._ports.starts, feed.uuid, feed.index) for feed in members.newcomers}
        position = self._served() if members.joined else None
        for start in starts.values():
            position = start if position is None else position.earlier_of(start)
        for feed in members.newcomers:
            self._rejects.forget_counts(feed.index)
            log.info("%s joins, through %s", feed.index, feed.write_alias)
        self._backlog = self._open(position or StreamPosition())
        joined = members.with_newcomers(starts, self._clock.time_us())
        self._save(replace(self._state, joined=joined, head_us=0, done_us=0))

    def _served(self) -> StreamPosition:
        """How far the indices that stay were served."""
        position = self._backlog.served(max(self._state.done_us, self._backlog.done_us))
        self._note_gaps()
        return position

    def _open(self, position: StreamPosition) -> Backlog:
        return Backlog(self._settings, self._ports.stream, self._clock, position)

    def _drop_what_is_paid(self) -> None:
        """Let go of an index behind the alias once every event that was owed to it is done."""
        owed = {uuid: one.owed_until_us for uuid, one in self._state.joined.items() if one.owed_until_us}
        paid = {uuid for uuid, until_us in owed.items() if self._backlog.is_paid(until_us)}
        if not paid:
            return
        left = {uuid: one for uuid, one in self._state.joined.items() if uuid not in paid}
        self._save(replace(self._state, joined=left))
        self._live = {feed: live for feed, live in self._live.items() if feed.uuid not in paid}

    # Reading and looking

    def _look(self) -> None:
        settings, ledger = self._settings, self._backlog.ledger
        wanted = ledger.to_look_at(self._clock.time_us(), settings.keys_per_pass)
        if wanted:
            looker = Looker(
                self._ports.reader,
                list(self._live.values()),
                settings.stamps,
                settings.bulk_bytes,
                settings.requests_in_flight,
            )
            result = looker.look([one.key for one in wanted])
            self._rejects.add(result.rejects)
            for look in result.looks:
                if look.is_acknowledged:
                    ledger.acknowledge(look.names, look.began_us)
            first = sum(one.is_first for one in wanted)
            self._count(looks=len(wanted), first=first, second=len(wanted) - first)
            self._has_moved |= result.has_moved
        self._backlog.note_looks()

    def _outcome(self) -> FollowStep:
        if self._has_moved:
            return FollowStep(is_fed=True, wait_s=_AFTER_A_MOVE_S)
        wait_s = self._backlog.wait_s()
        owes = any(one.owed_until_us for one in self._state.joined.values())
        quiet_s = None if owes else self._backlog.quiet_s()
        return FollowStep(is_fed=True, has_work=wait_s <= 0, wait_s=wait_s, quiet_s=quiet_s)

    # What is known and saved

    def _note_gaps(self) -> None:
        known = {(gap.shard, gap.after) for gap in self._state.gaps}
        new = tuple(gap for gap in self._backlog.take_gaps() if (gap.shard, gap.after) not in known)
        if new:
            self._state = replace(self._state, gaps=(*self._state.gaps, *new)[-_MOST_GAPS:])

    def _count(self, **more: int) -> None:
        self._state = replace(self._state, counts=self._state.counts.plus(**more))

    def _save_sometimes(self, is_quiet: bool) -> None:
        is_due = self._clock.monotonic_s() - self._saved_s >= self._settings.save_every_s
        if is_due or (is_quiet and not self._was_quiet):
            self._save(self._state)
        self._was_quiet = is_quiet

    def _save(self, state: FollowState) -> None:
        """Rejects first, then the state: a position never says more than is durable."""
        if self._rejects.has_unwritten:
            self._ports.store.save(self._state.to_json())  # who has lost to another must not write over its parts
            self._rejects.flush(self._key_attributes)
        self._backlog.forget_shards()
        state = replace(
            state,
            position=self._backlog.ledger.position,
            seen=self._backlog.ledger.seen,
            head_us=max(state.head_us, self._backlog.head_us),
            done_us=max(state.done_us, self._backlog.done_us),
            rejects=self._rejects.counts,
            parts=self._rejects.parts,
            at_us=self._clock.time_us(),
        )
        self._ports.store.save(state.to_json())
        self._state, self._saved_s = state, self._clock.monotonic_s()
        self._log_sometimes()

    def _log_sometimes(self) -> None:
        seconds = self._saved_s - self._logged_s
        if seconds < _LOG_EVERY_S:
            return
        records = self._state.counts.records - self._logged_records
        self._logged_s, self._logged_records = self._saved_s, self._state.counts.records
        log.info(
            "followed %d records, %.0f/s, into %d indices; %d are not done, %d keys wait for their first look",
            records,
            records / seconds,
            len(self._live),
            self._backlog.ledger.pending,
            self._backlog.ledger.fresh,
        )
