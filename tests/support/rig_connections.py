"""A target's connections that lead to a rig's servers: operators and wiring on real servers, without an Airflow."""

from dataclasses import dataclass
from typing import Any

import pytest

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock, SystemClock
from dynamo_opensearch.core.dynamodb.table_client import TableClient
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.wiring.target_connections import TargetConnections
from tests.support.rig import Rig

LONGEST_WAIT_S = 0.05


class HurriedClock(SystemClock):
    """Waits, but never for long: nothing of a test is late by more."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, LONGEST_WAIT_S))


@dataclass(frozen=True)
class RigConnections(TargetConnections):
    """A target of a rig's table and alias."""

    rig: Rig

    @classmethod
    def to(cls, rig: Rig, clock: Clock | None = None, **changes: Any) -> "RigConnections":
        """By the target that ``target_of`` makes; waits are cut short unless there is another clock."""
        retry: RetryPolicy = rig.retry
        return cls(target_of(rig, **changes), clock or HurriedClock(), retry, rig)

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every adapter work with these."""
        monkeypatch.setattr(TargetConnections, "of", classmethod(lambda _cls, _name: self))

    @property
    def table(self) -> TableClient:
        return self.rig.table_client

    @property
    def cluster(self) -> OpenSearchCluster:
        return self.rig.cluster


def target_of(rig: Rig, **changes: Any) -> Target:
    """The target of a rig's table and alias; ``changes`` to the fields of its file."""
    return Target.model_validate(
        {
            "name": rig.base,
            "table": rig.table,
            "key": list(rig.key),
            "alias": rig.alias,
            "mapping": "members.json",
            "indexer_writes": "unversioned" if rig.unversioned else "versioned",
            "documents": rig.rules,
            "environments": {"local": {}},
            **changes,
        }
    )
