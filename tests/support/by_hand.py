"""Differences put in by hand into a large table's index: found, named, mended, and nothing else touched."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamo_opensearch.core.reconcile.depths import ReconcileDepth
from tests.support import oracle
from tests.support.harm import NESTED, Difference, Harm, Shape
from tests.support.reconcile_rig import Reconciling
from tests.support.rig import Rig

_AT_ONCE = 5_000


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Items of the table, and how many documents of each kind are spoilt."""

    items: int
    deleted: int
    orphans: int
    nested: int
    digits: int


def fill(rig: Rig, shape: Shape, items: int, shards: int = 2) -> None:
    """A table of so many items, and an index that equals it."""
    rig.create_table(*shape.kinds)
    put_all(rig, shape, range(items))
    rig.create_index(NESTED, {"number_of_shards": shards})
    rig.copy()


def put_all(rig: Rig, shape: Shape, numbers: range) -> None:
    """These items, by four writers."""
    with ThreadPoolExecutor(4) as pool:
        parts = [numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE)]
        list(pool.map(lambda part: rig.put([*map(shape.item, part)]), parts))


def listed(file: Path) -> set[Difference]:
    """What a run's list names, each once and looked at again."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    found = {Difference(line["id"], line["kind"], line["field"]) for line in lines}
    assert len(found) == len(lines)
    assert all(line["is_settled"] for line in lines)
    return found


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """One table, its index, and what was done to it."""

    one: Reconciling
    shape: Shape
    harm: Harm

    @classmethod
    def of(cls, make_rig: Callable[..., Rig], shape: Shape, sizes: Sizes, scratch: Path, **settings: Any) -> "ByHand":
        """Filled, equal, and then spoilt."""
        rig = make_rig(
            key=shape.key,
            rules=shape.rules,
            unversioned=shape.is_unversioned,
            limit=None,
            bulk_bytes=1_000_000,
            requests_in_flight=4,
            read_timeout_s=60.0,
        )
        fill(rig, shape, sizes.items)
        counts = {kind: getattr(sizes, kind) for kind in ("deleted", "orphans", "nested", "digits")}
        harm = Harm.among(shape, sizes.items, **counts)
        by_hand = cls(one=Reconciling(rig, scratch, **settings), shape=shape, harm=harm)
        assert by_hand.differences() == []
        by_hand.spoil()
        return by_hand

    def spoil(self) -> None:
        """Write what is wrong, once more where it has been mended."""
        self.harm.do(self.shape, self.one.rig.direct_opensearch, self.one.rig.index)

    def differences(self) -> list[str]:
        """By the oracle: documents, and where they are routed to."""
        rig, shape = self.one.rig, self.shape
        items = [item for item in oracle.items(rig.boto, rig.table) if not shape.is_filtered or item["status"] == "on"]
        wanted = {shape.document_id(item): item for item in items}
        routings = {shape.document_id(item): item["PK"] if shape.is_routed else None for item in items}
        found = oracle.differences(wanted, rig.documents())
        writes = self.writes()
        return found + [
            f"routed elsewhere: {one}" for one in routings if one in writes and writes[one][2] != routings[one]
        ]

    def writes(self) -> dict[str, tuple[int, int, str | None]]:
        """They change with every write."""
        return oracle.writes(self.one.rig.direct_opensearch, self.one.rig.index)

    def judge(self, depth: ReconcileDepth) -> dict[str, Any]:
        """A run that finds everything, one that mends it, and one that finds nothing; what they say.

        At depth keys, documents with another content stay as they are.
        """
        one, shape, harm = self.one, self.shape, self.harm
        wanted = harm.differences(shape, depth)
        before = self.writes()
        began_s = time.monotonic()
        found = one.compare(depth)
        seconds = time.monotonic() - began_s
        assert listed(self.one.list_file) == wanted
        kinds = {"missing": found.missing, "orphaned": found.orphaned, "stale": found.stale, "refused": found.refused}
        assert {kind: count for kind, count in kinds.items() if count} == harm.counts(shape, depth)
        assert (found.in_motion, found.unsettled, found.table_count) == (0, 0, len(before) + self._gone())
        assert self.writes() == before, "a comparison writes nothing"

        _, mended = one.compare_and_repair(depth)
        assert (mended.differences, mended.mended, mended.rejected) == (0, len(wanted), 0)
        assert mended.mended_kinds == harm.counts(shape, depth)
        assert listed(self.one.list_file) == set()
        after = self.writes()
        named = {difference.id for difference in wanted}
        assert {name: write for name, write in after.items() if name not in named} == {
            name: write for name, write in before.items() if name not in named
        }, "nothing else is touched"
        assert one.compare(depth).is_equal
        return {"items": found.table_count, **kinds, "mended": mended.mended, "seconds_to_find": round(seconds, 1)}

    def _gone(self) -> int:
        return len(self.harm.deleted) - len(self.harm.orphans)
