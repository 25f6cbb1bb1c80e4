"""The follower of one target: every change of the table into every index that the indexer does not feed."""

import logging
from dataclasses import replace

from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.follow.feeds import Feed, plan_feeds, target_indices
from dynamo_opensearch.core.follow.ledger import Ledger, NamedKey
from dynamo_opensearch.core.follow.looks import LiveFeed, Looker
from dynamo_opensearch.core.follow.membership import Membership, plan_membership
from dynamo_opensearch.core.follow.reject_log import RejectLog
from dynamo_opensearch.core.follow.settings import FollowPorts, FollowSettings, FollowStep
from dynamo_opensearch.core.follow.starts import noted_start
from dynamo_opensearch.core.follow.state import FollowState, resumed_state
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.core.stream.reader import StreamReader

__all__ = ["FollowPorts", "FollowSettings", "FollowStep", "Follower"]

log = logging.getLogger(__name__)

_MOST_GAPS = 100
_DISORDER_US = 5_000_000
"""Record times are out of order by up to 1.5 s, and of another clock than the worker's."""

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
        self._open(self._state.position)
        self._live: dict[Feed, LiveFeed] = {}
        self._planned_s: float | None = None
        self._saved_s = self._logged_s = self._heard_s = self._clock.monotonic_s()
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
        self._read()
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
        self._open(position or StreamPosition())
        joined = members.with_newcomers(starts, self._clock.time_us())
        self._save(replace(self._state, joined=joined, head_us=0, done_us=0))

    def _served(self) -> StreamPosition:
        """How far the indices that stay were served.

        What is older than ``done_us`` need not be read again in shards that only a newcomer's start leads to.
        """
        self._reader.pages()  # a gap must be told before the position that shows it is given up
        self._note_gaps()
        position = self._ledger.position
        rounding_us = round(self._settings.stamps.stream_rounding_s * 1e6)
        served_us = max(self._state.done_us, self._done_us()) - rounding_us - _DISORDER_US
        return replace(position, not_before_us=max(served_us, position.not_before_us))

    def _open(self, position: StreamPosition) -> None:
        rounding_s = self._settings.stamps.stream_rounding_s
        self._reader = StreamReader(self._ports.stream, position, self._clock, rounding_s)
        self._ledger = Ledger(position, self._settings.due_us)
        self._head_us = 0

    def _drop_what_is_paid(self) -> None:
        """Let go of an index behind the alias once every event that was owed to it is done."""
        late_us = round(self._settings.stamps.stream_rounding_s * 1e6) + _DISORDER_US
        owed = {uuid: one.owed_until_us for uuid, one in self._state.joined.items() if one.owed_until_us}
        paid = {uuid for uuid, until_us in owed.items() if self._done_us() > until_us + late_us}
        if not paid:
            return
        left = {uuid: one for uuid, one in self._state.joined.items() if uuid not in paid}
        self._live = {feed: live for feed, live in self._live.items() if feed.uuid not in paid}
        self._save(replace(self._state, joined=left))

    # Reading and looking

    def _read(self) -> None:
        """Pages, while there is room for them."""
        settings, ledger = self._settings, self._ledger
        while ledger.pending < settings.most_pending and ledger.fresh < settings.keys_per_pass:
            pages = self._reader.pages()
            self._note_gaps()
            if not pages:
                return
            for page in pages:
                ledger.enter(page, [self._named(record.key) for record in page.records])
                self._count(records=len(page.records))
                if page.records:
                    self._heard_s = self._clock.monotonic_s()

    def _named(self, key: Item) -> NamedKey:
        values = tuple(key[attribute] for attribute in self._key_attributes)
        return document_id(values), values

    def _look(self) -> None:
        settings = self._settings
        head_us = self._reader.head_us
        wanted = self._ledger.to_look_at(self._clock.time_us(), settings.keys_per_pass)
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
                    self._ledger.acknowledge(look.names, look.began_us)
            first = sum(one.is_first for one in wanted)
            self._count(looks=len(wanted), first=first, second=len(wanted) - first)
            self._has_moved = result.has_moved
        if not self._ledger.fresh:
            self._head_us = max(self._head_us, head_us)

    def _outcome(self) -> FollowStep:
        if self._has_moved:
            return FollowStep(is_fed=True, wait_s=_AFTER_A_MOVE_S)
        due_us = self._ledger.next_due_us
        due_in_s = None if due_us is None else (due_us + 1 - self._clock.time_us()) / 1e6
        waits_s = [] if due_in_s is None else [due_in_s]
        if self._ledger.pending < self._settings.most_pending:
            waits_s.append(self._reader.next_due_s - self._clock.monotonic_s())
        wait_s = 0.0 if self._ledger.fresh else max(0.0, min(waits_s, default=0.0))
        return FollowStep(is_fed=True, has_work=wait_s <= 0, wait_s=wait_s, quiet_s=self._quiet_s(due_in_s))

    def _quiet_s(self, due_in_s: float | None) -> float | None:
        owes = any(one.owed_until_us for one in self._state.joined.values())
        is_silent = self._clock.monotonic_s() - self._heard_s >= self._settings.silent_after_s
        if owes or self._ledger.fresh or not self._head_us or not is_silent:
            return None
        longest_s = self._settings.longest_quiet_s
        return longest_s if due_in_s is None else max(0.0, min(longest_s, due_in_s))

    # What is known and saved

    @property
    def _key_attributes(self) -> tuple[str, ...]:
        return next(iter(self._live.values())).builder.key_attributes

    def _done_us(self) -> int:
        """Events of the time before this are done, as far as a stream can tell."""
        earliest_us = self._ledger.earliest_due_us
        if earliest_us is None:
            return self._head_us
        return max(0, min(self._head_us, earliest_us - self._settings.due_us(0)))

    def _note_gaps(self) -> None:
        known = {(gap.shard, gap.after) for gap in self._state.gaps}
        new = tuple(gap for gap in self._reader.take_gaps() if (gap.shard, gap.after) not in known)
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
        if self._live:
            self._rejects.flush(self._key_attributes)
        self._ledger.forget_shards(self._reader.listed)
        state = replace(
            state,
            position=self._ledger.position,
            seen=self._ledger.seen,
            head_us=max(state.head_us, self._head_us),
            done_us=max(state.done_us, self._done_us()),
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
            self._ledger.pending,
            self._ledger.fresh,
        )
