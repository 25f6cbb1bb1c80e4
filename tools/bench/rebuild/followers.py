"""The follower before a stream that is full of changes, beside bare reads of the same keys."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from tools.bench import sources
from tools.bench.rebuild.follow_backlog import FollowTask
from tools.bench.rebuild.ground import FIRST, SECOND, Ground
from tools.bench.rebuild.wired import NEXT, PREVIOUS, forget_state
from tools.bench.runs import Contender, Run
from tools.local import members
from tools.local.processes import Server

READS = Contender(
    name="reads", title="bare BatchGetItem of the same keys", module="tools.bench.rebuild.bare_keyed_reads"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A follower that feeds so many indices. ``is_new``: its changes are so young that each needs a second look."""

    name: str
    indices: int
    is_new: bool

    @property
    def contender(self) -> Contender:
        """Its process."""
        indices = "1 index" if self.indices == 1 else f"{self.indices} indices"
        looks = "two looks at each change" if self.is_new else "one look at each change"
        return Contender(name=self.name, title=f"{indices}, {looks}", module="tools.bench.rebuild.follow_backlog")


CASES = tuple(
    Case(name=f"{'new' if is_new else 'old'} {indices}", indices=indices, is_new=is_new)
    for is_new in (False, True)
    for indices in (1, 2)
)

_MARGIN_S = 6.0
_ROUNDING_S = 1.0
_STARTS_WITHIN_S = 4.0
_SLOWEST_PER_S = 700.0


def followed(ground: Ground) -> Iterator[Run]:
    """One stream, read from its horizon again and again, by followers that know nothing yet."""
    changes = ground.settings.follow_changes
    ground.say(f"writing {changes:,} changes")
    with ground.table() as table:
        began_s = time.monotonic()
        members.load(sources.members_client(table.url), members.TABLE, changes)
        ground.say(f"the follower, after {time.monotonic() - began_s:.1f} s of writing")
        time.sleep(2 * _MARGIN_S + 2 * _ROUNDING_S)
        for _ in range(ground.settings.rounds):
            yield ground.run(READS, [asdict(_task(ground, table, _MARGIN_S))], None, changes, {"source": table.pid})
            for case in CASES:
                yield _followed(ground, case, table, began_s)


def _followed(ground: Ground, case: Case, table: Server, began_s: float) -> Run:
    forget_state(ground.server.url)
    age_s = time.monotonic() - began_s
    margin_s = margin_of_new_changes(age_s, ground.settings.follow_changes) if case.is_new else _MARGIN_S
    task = _task(ground, table, margin_s)
    with ExitStack() as stack:
        for index, marker in ((FIRST, PREVIOUS), (SECOND, NEXT))[-case.indices :]:
            stack.enter_context(ground.fresh(index, marker))
        return ground.run(case.contender, [asdict(task)], SECOND, task.changes, {"source": table.pid})


def _task(ground: Ground, table: Server, margin_s: float) -> FollowTask:
    changes = ground.settings.follow_changes
    return FollowTask(dynamodb=table.url, opensearch=ground.server.url, changes=changes, margin_s=margin_s)


def margin_of_new_changes(age_s: float, changes: int) -> float:
    """The margin with which changes of that age get their first look before the second one is due."""
    return (age_s + _STARTS_WITHIN_S + changes / _SLOWEST_PER_S - _ROUNDING_S) / 2
