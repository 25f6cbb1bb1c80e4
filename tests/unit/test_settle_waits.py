"""How long a reconciliation waits between looks at what differs."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.targets.model import Budgets
from dynamo_opensearch.wiring.reconciling import settle_waits_s


def waits_s(lag_s: float | None = None, margin_s: float = 6.0, **budgets: Any) -> tuple[float, ...]:
    target = SimpleNamespace(budgets=Budgets(**budgets))
    connections = SimpleNamespace(target=target, stamps=StampRule(margin_s=margin_s))
    return settle_waits_s(cast("Any", connections), cast("ReconcilePlan", SimpleNamespace(lag_s=lag_s)))


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        (waits_s(), (3, 6, 12, 24)),
        (waits_s(settle_s=90), (6, 12, 24, 48)),
        (waits_s(settle_s=15, margin_s=6), (1, 2, 4, 12)),
        (waits_s(margin_s=65), (3, 6, 12, 130)),
        (waits_s(lag_s=40), (3, 6, 12, 60)),
        (waits_s(lag_s=40_000), (3, 6, 12, 600)),
    ],
)
def test_waits_are_longer_than_two_margins_and_the_lag_and_as_long_as_the_target_says(
    waits: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    assert waits == expected
