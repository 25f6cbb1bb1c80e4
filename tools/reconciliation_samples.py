"""Made-up reconciliations, as they come and as they may come at worst; the same each time."""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tools.local import paths

sys.path.append(str(paths.ROOT / "plugins"))

from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.reconcile.counts import SideCounts
from dynamo_opensearch.core.reconcile.report import Night, ReconcileReport, Subject
from dynamo_opensearch.core.reports import OfferReport

SUBJECT = Subject(
    target="members",
    table="members",
    table_id="6f5a1c52-8a3e-4f0b-9d7c-2b1e0c9a7f44",
    stream_arn="arn:aws:dynamodb:eu-central-1:123456789012:table/members/stream/2026-01-01T00:00:00.000",
    alias="members-live",
    index="members-v3",
    index_uuid="hQ1r9mC2T3aV5bX7zY8wKg",
)
TONIGHT_US = round(datetime(2026, 3, 12, 2, 30, tzinfo=UTC).timestamp() * 1e6)
DAY_US = 86_400_000_000
LIST = "s3://aws_default@reports/prod/reconcile/members/scheduled__2026-03-12T02_30_00+00_00/differences.ndjson"
ITEMS = 1_204_817
HEX = "0123456789abcdef"


def comparison(depth: str = "content", *, items: int = ITEMS, **changes: Any) -> ComparisonReport:
    """A comparison that adds up. ``changes``: those by kind, mended (by kind), in_motion and so on."""
    kinds = {kind: changes.pop(kind, 0) for kind in ("missing", "orphaned", "stale", "refused")}
    mended: dict[str, int] = changes.pop("mended", {})
    in_motion = changes.pop("in_motion", 0)
    found = Found(
        equal=items - kinds["missing"] - kinds["stale"] - kinds["refused"] - sum(mended.values()) - in_motion,
        missing=kinds["missing"] + mended.get("missing", 0),
        orphaned=kinds["orphaned"] + mended.get("orphaned", 0),
        stale=kinds["stale"] + mended.get("stale", 0) + in_motion,
        refused=kinds["refused"],
    )
    table_count = found.equal + found.missing + found.stale + found.refused
    values: dict[str, Any] = {
        "index": SUBJECT.index,
        "depth": depth,
        "table_count": table_count,
        "index_count": found.equal + found.orphaned + found.stale,
        "skipped": 0,
        "found": found,
        "missing": kinds["missing"],
        "orphaned": kinds["orphaned"],
        "stale": kinds["stale"],
        "refused_later": 0,
        "in_motion": in_motion,
        "mended": sum(mended.values()),
        "mended_kinds": mended,
        "unsettled": 0,
        "rejected": 0,
        "offers": OfferReport(),
        "read_units": table_count / 9.3,
        "seconds": 640.0,
    }
    return ComparisonReport(**values | changes)


def report(
    depth: str = "content",
    *,
    counts: SideCounts | None = None,
    made: ComparisonReport | None = None,
    **changes: Any,
) -> ReconcileReport:
    """A run of tonight; of counts, or of a comparison."""
    if counts is None and made is None:
        made = comparison(depth)
    values: dict[str, Any] = {
        "subject": SUBJECT,
        "run_id": "scheduled__2026-03-12T02:30:00+00:00",
        "depth": depth,
        "repair": "none",
        "began_us": TONIGHT_US,
        "ended_us": TONIGHT_US + 652_000_000,
        "tolerance": 0,
        "counts": counts,
        "comparison": made,
        "lag_s": 1.4,
    }
    return ReconcileReport(**values | changes)


def nights(count: int = 60, items: int = ITEMS, *, seed: int = 6) -> list[Night]:
    """Earlier nights: counts, each Sunday a comparison, some trouble, a rebuilt index, a silent metric."""
    chance, made = random.Random(seed), []
    for age in range(count, 0, -1):
        number = count - age
        began_us = TONIGHT_US - age * DAY_US + chance.randrange(90_000_000)
        now = items - age * (items // 900) + chance.randrange(max(1, items // 1_500))
        subject = replace(SUBJECT, index="members-v2" if number < count // 3 else "members-v3")
        one = _sunday(now, number, count) if number % 7 == 3 else _weekday(now, number, count, chance)
        one = replace(
            one,
            subject=subject,
            run_id=f"scheduled__{age:03d}",
            began_us=began_us,
            ended_us=began_us + 300_000_000,
            lag_s=None if count * 0.55 < number < count * 0.68 else _lag(number, count, chance),
        )
        made.append(Night.of(one, None))
    return made


def _lag(number: int, count: int, chance: random.Random) -> float:
    return round(chance.lognormvariate(0.6, 0.5), 1) + (95 if number == count * 4 // 5 else 0)


def _sunday(items: int, number: int, count: int) -> ReconcileReport:
    if number > count * 0.75 and items > 1_000:
        mended = {"missing": 118, "orphaned": 40, "stale": 260}
        return report(made=comparison(items=items, mended=mended), repair="apply")
    return report(made=comparison(items=items, stale=min(items // 2, 14) if number > count * 0.4 else 0))


def _weekday(items: int, number: int, count: int, chance: random.Random) -> ReconcileReport:
    if number == count - 9:
        return report("approximate", counts=SideCounts(table_count=items, index_count=items - 40, table_age_s=21_600))
    lost = min(items, 118) if count * 0.7 < number < count * 0.8 else 0
    written = chance.randrange(min(60, items))
    index_count = max(0, items - lost - chance.randrange(written + 1))
    counts = SideCounts(table_count=items, index_count=index_count, written=written)
    return report("count", counts=counts)


def _ids(seed: int, count: int) -> tuple[str, ...]:
    chance = random.Random(seed)
    return tuple("".join(chance.choices(HEX, k=12)) for _ in range(count))


def situations() -> Iterator[tuple[str, ReconcileReport, Sequence[Night], str | None]]:
    """Name, report, earlier nights, list of keys."""
    history = nights()
    yield "equal", report(made=comparison(in_motion=7)), history, None
    yield "different", _different(), history, LIST
    yield "repaired", _repaired(), history, LIST
    yield "left-after-repair", _left(), history, LIST
    yield "moved", report(made=comparison(stale=14), moved_to="members-v4"), history, LIST
    yield "keys-equal", report("keys", made=comparison("keys")), history, None
    apart = SideCounts(table_count=ITEMS, index_count=ITEMS - 1_003, written=12, read_units=61_410.5)
    yield "count-different", report("count", counts=apart), history, None
    moving = SideCounts(table_count=ITEMS, index_count=ITEMS + 17, written=240, read_units=61_410.5)
    yield "count-in-motion", report("count", counts=moving), history, None
    rough = SideCounts(
        table_count=ITEMS,
        index_count=ITEMS - 40,
        table_age_s=21_600,
        remarks=(
            "DescribeTable's figure is renewed about every six hours.",
            "The target has a filter: all items count.",
        ),
    )
    yield "approximate", report("approximate", counts=rough, lag_s=None), history, None
    yield "first-night", report(), [], None
    yield "two-nights", _different(), nights(1), LIST
    yield "empty", report(made=comparison(items=0), lag_s=None), [], None
    yield "tiny", report(made=comparison(items=3, missing=1)), nights(5, items=3), LIST
    yield "huge", report(made=comparison(items=8_412_007_331_902)), nights(119, items=8_412_007_331_902), None
    yield "one-each-night", report(made=comparison(items=ITEMS)), _flat(), None


def _flat() -> list[Night]:
    return [
        replace(night, table_count=ITEMS, index_count=ITEMS, differences=0, by_kind={}, mended=0, depth="count")
        for night in nights(20)
    ]


def _different() -> ReconcileReport:
    made = comparison(
        missing=500,
        orphaned=300,
        stale=200,
        refused=3,
        in_motion=12,
        samples={"missing": _ids(1, 20), "orphaned": _ids(2, 20), "stale": _ids(3, 20), "refused": _ids(4, 3)},
        differing_fields={"address.city": 128, "lines[].price": 50, "name": 19, "preferences.newsletter.weekly": 3},
    )
    causes = (
        "The event source mapping of the indexer is disabled since 11 March 2026, 22:14 UTC.",
        "312 messages wait in the dead-letter queue members-dlq, the oldest for 3 h 20 min.",
    )
    since_us = TONIGHT_US - 3 * DAY_US
    return report(made=made, causes=causes, lag_s=15_420.0, to_repair=1_000, known=400, oldest_us=since_us)


def _repaired() -> ReconcileReport:
    mended = {"missing": 500, "orphaned": 300, "stale": 250}
    made = comparison(
        mended=mended,
        in_motion=9,
        offers=OfferReport(offered=1_050, indexed=738, deleted=298, stale=14),
        samples={"missing": _ids(1, 20), "orphaned": _ids(2, 20), "stale": _ids(3, 20)},
        differing_fields={"address.city": 200, "balance": 50},
    )
    note = "1,050 differences were offered to members-v3 and compared again."
    return report(made=made, repair="apply", to_repair=1_050, repair_note=note, cleared=21)


def _left() -> ReconcileReport:
    made = comparison(
        missing=118,
        stale=4,
        mended={"missing": 20_402, "stale": 31},
        rejected=118,
        unsettled=40,
        skipped=88_120,
        offers=OfferReport(offered=20_555, indexed=20_433, stale=4, rejected=118),
        samples={"missing": _ids(7, 20), "stale": _ids(8, 4)},
        differing_fields={f"attributes.a{number:02d}": 40 - number for number in range(30)},
    )
    note = "118 of the documents were refused by OpenSearch: mapper_parsing_exception, field joined_at, type date."
    return report(made=made, repair="apply", to_repair=20_555, repair_note=note)
