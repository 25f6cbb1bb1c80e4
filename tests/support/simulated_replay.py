"""A replay of dead letters as the package's rules say it: by consistent reads, to every living index, looked at twice.

Stands in for the dead letters' own DAG; its reads and writes are the package's own.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from dynamo_opensearch.core.documents.builder import Document, KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.offer.destination import AliasLostError
from dynamo_opensearch.core.offer.refresher import Refresher
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.opensearch.alias import read_target_aliases, write_aliases
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.stamps import StampRule
from tests.support.simulated_table import Record
from tests.support.simulation import START_US, SimulatedClock, Simulation

_TICK_S = 0.5
_MOST_KEYS = 100


@dataclass(frozen=True, kw_only=True)
class ReplayRules:
    """``later_s``: how long after its failure a dead letter's first look comes, at most. ``looks_twice``: the rule."""

    later_s: float = 40.0
    looks_twice: bool = True


@dataclass(frozen=True, kw_only=True)
class ReplayPorts:
    """The package's own, of one worker."""

    patient: PatientCluster
    refresher: Refresher
    sender_for: Callable[[str], Sender]
    clock: SimulatedClock
    stamps: StampRule


@dataclass(frozen=True, slots=True)
class _Look:
    due_s: float
    key: KeyValues


class Replay:
    """Dead letters that wait for their looks."""

    def __init__(
        self, alias: str, ports: ReplayPorts, simulation: Simulation, chance: random.Random, rules: ReplayRules
    ) -> None:
        self._alias, self._ports, self._simulation = alias, ports, simulation
        self._chance, self._rules = chance, rules
        self._owed: list[_Look] = []
        self.looks = 0

    @property
    def is_over(self) -> bool:
        """Whether no look is owed."""
        return not self._owed

    def take(self, records: list[Record]) -> None:
        """Dead letters of now."""
        stamps = self._ports.stamps
        for record in records:
            key = ({"S": record.change.key},)
            first_s = self._simulation.now_s + self._chance.uniform(0, self._rules.later_s)
            after_s = record.created_s - START_US / 1e6 + stamps.stream_rounding_s + 2 * stamps.margin_s
            done_s = after_s - self._ports.clock.skew_s + 0.01  # by the clock of this worker
            self._owed.append(_Look(first_s, key))
            if self._rules.looks_twice and done_s > first_s:
                self._owed.append(_Look(done_s, key))

    def run(self, is_over: Callable[[], bool]) -> None:
        """Make every look when it is due, until no more can come."""
        while self._owed or not is_over():
            self._simulation.sleep(_TICK_S * self._chance.uniform(0.5, 1.5))
            due = [look for look in self._owed if look.due_s <= self._simulation.now_s]
            for begin in range(0, len(due), _MOST_KEYS):
                part = due[begin : begin + _MOST_KEYS]
                if self._look([look.key for look in part]):
                    made = set(map(id, part))
                    self._owed = [look for look in self._owed if id(look) not in made]

    def _look(self, keys: list[KeyValues]) -> bool:
        """Whether every index that is living now has acknowledged what these keys are."""
        self.looks += len(keys)
        aliases = read_target_aliases(self._ports.patient, self._alias)
        living = zip(write_aliases(self._alias), (aliases.live, aliases.next, aliases.previous), strict=True)
        offered = [self._offer(keys, alias, index) for alias, indices in living for index in indices]
        return all(offered)

    def _offer(self, keys: list[KeyValues], alias: str, index: str) -> bool:
        unread = [Document(document_id(key), None, None, key) for key in keys]
        try:
            readings = list(self._ports.refresher.read_again(unread, index, 0))
            assert not any(isinstance(one, Reject) for one in readings)
            results = self._ports.sender_for(alias).send(readings)  # type: ignore[arg-type]
        except AliasLostError:
            return False
        return not any(result.report.strayed for result in results)
