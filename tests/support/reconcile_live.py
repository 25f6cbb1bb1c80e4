"""Reconciliations of a table that is being written all the time, beside an indexer that is some seconds behind."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dynamo_opensearch.core.compare.report import ComparisonReport
from tests.support import oracle
from tests.support.by_hand import listed
from tests.support.harm import NESTED, Difference, Document, delete_documents, write_documents
from tests.support.indexing import IndexingHandler, create_streaming_table, mapped
from tests.support.reconcile_rig import Reconciling
from tests.support.rig import Rig
from tests.support.traffic_process import TrafficProcess
from tools.local import members
from tools.local.event_source_mapping import EventSourceMapping, MappingSettings

LAG_S = 3.0
PER_S = 300.0
CHURNED = 500


@dataclass(kw_only=True)
class Live:
    """Members 0 to ``stable`` - 1 are updated, ``CHURNED`` come and go, and ``quiet`` more are left alone."""

    one: Reconciling
    traffic: TrafficProcess
    mapping: EventSourceMapping
    stable: int
    quiet: int
    least_rate: float
    runs: Counter[str] = field(default_factory=Counter)
    in_motion: Counter[str] = field(default_factory=Counter)
    found: int = 0
    rates: list[float] = field(default_factory=list)
    lags_s: list[float] = field(default_factory=list)

    def round(self, number: int, *, has_harm: bool) -> None:
        """One run of each depth. With harm, two documents differ until they have been found and mended."""
        wanted = self._spoil(number) if has_harm else set()
        self._watched("content", lambda: self._compare("content", wanted))
        self._watched("keys", lambda: self._compare("keys", {one for one in wanted if one.kind == "missing"}))
        self._watched("count", self._count)
        if wanted:
            self._watched("content with repair", lambda: self._mend(wanted))

    def _spoil(self, number: int) -> set[Difference]:
        rig, first = self.one.rig, self.stable + CHURNED
        gone, changed = (document_of(first + (2 * number + other) % self.quiet) for other in (0, 1))
        delete_documents(rig.direct_opensearch, rig.index, [gone])
        changed.content["address"]["city"] = "Atlantis"
        write_documents(rig.direct_opensearch, rig.index, [changed])
        return {Difference(gone.id, "missing", None), Difference(changed.id, "stale", "address.city")}

    def _compare(self, depth: Any, wanted: set[Difference]) -> int:
        report = self.one.compare(depth)
        self._check(report, wanted)
        return report.in_motion

    def _mend(self, wanted: set[Difference]) -> int:
        found, mended = self.one.compare_and_repair("content")
        assert (found.missing, found.orphaned, found.stale) == (1, 0, 1), found
        assert (mended.differences, mended.mended, mended.mended_kinds) == (0, 2, {"missing": 1, "stale": 1}), mended
        assert listed(self.one.list_file) == set()
        return mended.in_motion

    def _check(self, report: ComparisonReport, wanted: set[Difference]) -> None:
        assert listed(self.one.list_file) == wanted, report
        assert report.differences == len(wanted)
        self.found += len(wanted)

    def _count(self) -> int:
        counts = self.one.count()
        assert counts.unexplained == 0, counts
        return abs(counts.difference)

    def _watched(self, what: str, run: Callable[[], int]) -> None:
        """A run, during all of which there were writes, and the indexer was behind, but not by too much."""
        began_s = time.time()
        with LagWatch(self.mapping) as watch:
            self.in_motion[what] += run()
        ended_s = time.time()
        rate = self.traffic.rate(began_s, ended_s)
        assert rate >= self.least_rate, f"{rate:.0f} writes a second during {what}, {ended_s - began_s:.1f} s"
        assert LAG_S - 1 < watch.longest_s < sum(self.one.waits_s), f"the indexer was {watch.longest_s:.1f} s behind"
        self.rates.append(rate)
        self.lags_s.append(watch.longest_s)
        self.runs[what] += 1

    def figures(self) -> dict[str, Any]:
        """For people."""
        return {
            "runs": dict(self.runs),
            "real_differences_found": self.found,
            "in_motion": dict(self.in_motion),
            "writes": self.traffic.kinds.total(),
            "writes_per_s_in_each_run": [round(min(self.rates), 1), round(max(self.rates), 1)],
            "indexer_behind_s": [round(min(self.lags_s), 1), round(max(self.lags_s), 1)],
        }


class LagWatch:
    """How far behind the indexer was at most, while the context lasted."""

    def __init__(self, mapping: EventSourceMapping) -> None:
        self._mapping, self.longest_s = mapping, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.longest_s = max(self.longest_s, self._mapping.iterator_age_s)


def document_of(number: int) -> Document:
    """A member's document as it should be."""
    item = oracle.plain_item(members.typed(members.member(number)))
    return Document(str(item[members.HASH_KEY]), None, item)


@contextmanager
def live(
    make_rig: Callable[..., Rig], scratch: Path, *, stable: int, quiet: int, least_rate: float, **settings: Any
) -> Iterator[Live]:
    """Writers and indexer while the context lasts; afterwards both sides have to be equal."""
    rig = make_rig(key=(members.HASH_KEY,), limit=None, bulk_bytes=1_000_000, read_timeout_s=30.0)
    create_streaming_table(rig)
    members.load(rig.boto, rig.table, stable)
    members.load(rig.boto, rig.table, quiet, first=stable + CHURNED)
    rig.create_index(NESTED, {"number_of_shards": 2})
    rig.copy()
    one = Reconciling(rig, scratch, **settings)
    traffic = TrafficProcess(rig.direct_dynamodb, rig.table, stable, CHURNED, per_s=PER_S)
    with mapped(rig, IndexingHandler(rig), MappingSettings(batch_size=200, lag_s=LAG_S)) as mapping:
        mapping.wait_until_caught_up(300)
        with traffic:
            time.sleep(LAG_S)
            yield Live(one=one, traffic=traffic, mapping=mapping, stable=stable, quiet=quiet, least_rate=least_rate)
        mapping.wait_until_caught_up(300)
    assert rig.differences(lambda item: str(item[members.HASH_KEY])) == []
