"""An alias over two indices on a rig, ready to be swapped, and what a swap needs."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.swap import SwapPorts
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from dynamo_opensearch.core.state.index_store import IndexStateStore
from tests.support.rig import ANYTHING, Rig


class Died(BaseException):
    """The process is gone: nothing catches this."""


@dataclass
class DyingCluster:
    """The process dies when the answer to its change number ``survived`` (from 0) is on its way back.

    What a kill can leave behind is decided by the changes that came before it, so reads are not counted.
    """

    cluster: Cluster
    survived: int
    changes: list[str] = field(default_factory=list)
    is_dead: bool = False

    def request(self, method: str, path: str, **more: Any) -> Any:
        if self.is_dead:
            raise Died()
        if method == "GET":
            return self.cluster.request(method, path, **more)
        self.is_dead = len(self.changes) == self.survived
        self.changes.append(f"{method} {path}")
        try:
            return self.cluster.request(method, path, **more)
        finally:
            if self.is_dead:
                raise Died()


@dataclass
class CutOffCluster:
    """Every request to ``path`` is carried out, or not, and its answer is lost; ``times`` of them."""

    cluster: Cluster
    path: str
    is_carried_out: bool
    times: int = 1

    def request(self, method: str, path: str, **more: Any) -> Any:
        is_cut = self.path in path and self.times > 0
        if is_cut:
            self.times -= 1
        if not is_cut or self.is_carried_out:
            answer = self.cluster.request(method, path, **more)
        if is_cut:
            raise ConnectionLostError("cut off by the test")
        return answer


@dataclass
class SwapRig:
    """``<base>-v1`` behind the alias, ``<base>-v2`` behind ``-next``."""

    rig: Rig

    def __post_init__(self) -> None:
        self.alias = self.rig.alias
        self.old, self.new = self.rig.index, f"{self.rig.base}-v2"
        self.next, self.previous = f"{self.alias}-next", f"{self.alias}-previous"
        self.caught_up = 0

    def create(self, properties: dict[str, Any] | None = None) -> None:
        """Both indices, empty."""
        given = properties or {}
        marker = {"index_routing": given["index_routing"]} if "index_routing" in given else {}
        self.rig.create_index(aliases={self.alias: given})
        self.rig.create_index(index=self.new, aliases={self.next: marker})

    def add_index(self, number: int, **aliases: Any) -> str:
        """Another one."""
        index = f"{self.rig.base}-v{number}"
        self.rig.create_index(ANYTHING, index=index, aliases=aliases)
        return index

    def store(self, kind: str, patient: PatientCluster | None = None) -> IndexStateStore:
        """A state document of the alias."""
        return IndexStateStore(patient or self.rig.patient, f"{self.rig.base}-state", f"{kind}|{self.alias}")

    def plan(self, **changes: Any) -> SwapPlan:
        """From old to new."""
        values: dict[str, Any] = {
            "alias": self.alias,
            "from_index": self.old,
            "to_index": self.new,
            "to_marker": self.next,
            "uses_write_block": True,
            "properties": AliasProperties(),
            "run_id": "run 1",
            "keep_h": 24.0,
        }
        return SwapPlan(**values | changes)

    def back(self, **changes: Any) -> SwapPlan:
        """The way back, once swapped."""
        values = {"from_index": self.new, "to_index": self.old, "to_marker": self.previous, "run_id": "run 2"}
        return self.plan(**{**values, **changes})

    def ports(self, cluster: Cluster | None = None, catch_up: Callable[[], int] | None = None) -> SwapPorts:
        """With a cluster of the test's own, where it has one."""
        patient = PatientCluster(cluster or self.rig.cluster, self.rig.clock, self.rig.retry)
        return SwapPorts(
            cluster=cluster or self.rig.cluster,
            patient=patient,
            catch_up=catch_up or self._catch_up,
            block_notes=self.store("swap", patient),
            kept=self.store("kept", patient),
            clock=self.rig.clock,
        )

    def _catch_up(self) -> int:
        self.caught_up += 1
        return 0

    def aliases(self) -> dict[str, set[str]]:
        """What each index carries, by plain HTTP."""
        found = self.rig.call(f"{self.rig.base}-v*/_alias?expand_wildcards=all")
        return {index: set(entry["aliases"]) for index, entry in found.items()}

    def properties(self, index: str, alias: str) -> dict[str, Any]:
        """Of one alias, by plain HTTP."""
        return dict(self.rig.call(f"{index}/_alias/{alias}")[index]["aliases"][alias])

    def is_blocked(self, index: str) -> bool:
        """Whether it has a write block, by plain HTTP."""
        settings = self.rig.call(f"{index}/_settings?flat_settings=true")[index]["settings"]
        return str(settings.get("index.blocks.write")) == "true"

    def uuid(self, index: str) -> str:
        """Of an index, by plain HTTP."""
        return str(self.rig.call(f"{index}/_settings")[index]["settings"]["index"]["uuid"])


def race(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """All at once; what each returned, or the error that it raised."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        start.wait(10)
        try:
            return task()
        except Exception as error:  # noqa: BLE001 - an outcome like any other
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))
