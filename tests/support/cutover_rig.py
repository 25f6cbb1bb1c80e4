"""A target's connections to a rig's servers, AWS's control plane among them, for the steps of a cutover."""

from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import pytest

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane, ControlPlane
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.wiring import canary as canary_wiring
from dynamo_opensearch.wiring import cutover as cutover_wiring
from tests.support.dying import Fate
from tests.support.rig import Rig
from tests.support.rig_connections import RigConnections
from tests.support.service_rig import client_at

TYPES = {"id": {"type": "keyword"}, "number": {"type": "long"}, "value": {"type": "keyword"}}
FILE = MappingFile("rig.json", {"dynamic": "strict", "properties": TYPES}, {"index.number_of_replicas": 0})
QUICK = StampRule(stream_rounding_s=1.0, margin_s=1.5)


@dataclass(frozen=True)
class CutoverConnections(RigConnections):
    """``fate``: when the process dies, counted over its calls to AWS and OpenSearch."""

    mapping_file: MappingFile = FILE
    fate: Fate = field(default_factory=Fate)
    aws_url: str = ""
    margin: StampRule = QUICK

    @classmethod
    def of_rig(cls, rig: Rig, fate: Fate | None = None, indexer: dict[str, Any] | None = None, **more: Any) -> Any:
        """With an indexer in the target's file; ``more``: fields of these connections, or of the target's file."""
        own = {name: more.pop(name) for name in ("mapping_file", "aws_url", "margin") if name in more}
        environment = {"indexer": indexer or {"function": "rig-indexer"}, "dead_letters": {"queue": "rig-dlq"}}
        target = RigConnections.to(rig, **{"environments": {"local": environment}, **more}).target
        return cls(target, rig.clock, rig.retry, rig, fate=fate or Fate(), **own)

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every adapter work with these."""
        super().use(monkeypatch)
        for module in (canary_wiring, cutover_wiring):
            monkeypatch.setattr(module, "control_plane", lambda _: self.plane)

    @cached_property
    def plane(self) -> ControlPlane:
        """AWS, by clients as the package's hook makes them."""
        client_for = cache(lambda service: client_at(self.aws_url or self.rig.direct_dynamodb, service))
        watched: ControlPlane = self.fate.watch(BotoControlPlane(client_for, self.clock, self.retry), "ask")
        return watched

    @property
    def cluster(self) -> Any:
        return _Cluster(self.rig.cluster, self.fate)

    @property
    def stamps(self) -> StampRule:
        return self.margin

    def mapping(self, file: str | None = None) -> MappingFile:
        return self.mapping_file


class _Cluster:
    """Looks at a document count for nothing: what a kill after one leaves is what the call before it left."""

    def __init__(self, cluster: Any, fate: Fate) -> None:
        self._cluster, self._fate = cluster, fate

    def request(self, method: str, path: str, **more: Any) -> Any:
        """As ``Cluster.request``."""
        if path.endswith("/_mget") and not self._fate.is_dead:
            return self._cluster.request(method, path, **more)
        return self._fate.call("request", self._cluster.request, method, path, **more)
