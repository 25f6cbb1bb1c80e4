"""How much to measure, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``emulator_items``: from MiniStack and DynamoDB Local, which take long to load. ``large_cycles``: memory.

    For the rebuild: ``follow_changes`` in the follower's stream, ``swaps``. ``replay_records``: named by dead letters.
    ``reconcile_cycles``: a reconciliation of so many times the items; its memory also of so many.
    """

    items: int = 100_000
    rounds: int = 3
    emulator_items: int = 40_000
    emulator_rounds: int = 3
    large_cycles: int = 10
    follow_changes: int = 10_000
    swaps: int = 24
    replay_records: int = 20_000
    reconcile_cycles: tuple[int, int] = (3, 30)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """``BENCH_QUICK=1``: one round of little; ``BENCH_ITEMS`` and ``BENCH_ROUNDS`` say otherwise."""
        if environment.get("BENCH_QUICK", "0") not in ("", "0"):
            quick = cls(
                items=20_000,
                rounds=1,
                emulator_items=10_000,
                emulator_rounds=1,
                large_cycles=3,
                follow_changes=2_000,
                swaps=4,
                replay_records=4_000,
                reconcile_cycles=(1, 5),
            )
        else:
            quick = cls()
        items = int(environment.get("BENCH_ITEMS", quick.items))
        rounds = int(environment.get("BENCH_ROUNDS", quick.rounds))
        if items < 1 or rounds < 1:
            raise ValueError(f"BENCH_ITEMS and BENCH_ROUNDS must be at least 1, got {items} and {rounds}")
        return replace(
            quick,
            items=items,
            rounds=rounds,
            emulator_items=min(quick.emulator_items, items),
            emulator_rounds=min(quick.emulator_rounds, rounds),
        )
