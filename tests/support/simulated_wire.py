"""The way to a real OpenSearch, on which simulated time passes: requests are late, lost, or delivered twice."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError
from tests.support.simulation import Simulation

_REAL_S = 0.03


@dataclass(frozen=True, kw_only=True)
class WireRules:
    """Shares of all bulk requests, and seconds.

    ``late_share`` are up to ``latest_s`` under way. ``lost_share`` get no answer: a third of them never arrive, a third
    are carried out, a third are carried out up to ``zombie_s`` later. ``twice_share`` are carried out again up to
    ``zombie_s`` later, as a retry that had been given up.
    """

    late_share: float = 0.0
    latest_s: float = 3.0
    lost_share: float = 0.0
    twice_share: float = 0.0
    zombie_s: float = 8.0


class SimulatedWire:
    """A ``Cluster``. One for each worker."""

    def __init__(self, cluster: Cluster, simulation: Simulation, chance: random.Random, rules: WireRules) -> None:
        self._cluster, self._simulation, self._chance, self._rules = cluster, simulation, chance, rules

    def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None, **more: Any
    ) -> Any:
        """Carried out after a part of its time under way; the rest passes before the answer is there."""
        is_bulk = path.endswith("/_bulk")
        before_s, after_s = (self._under_way_s(is_bulk) for _ in range(2))
        self._simulation.sleep(before_s)
        fate = self._chance.random() if is_bulk else 1.0
        if fate < self._rules.lost_share:
            return self._lose(fate / self._rules.lost_share, method, path, params, body)
        if path.startswith("/_tasks/"):
            time.sleep(_REAL_S)  # what OpenSearch does by itself takes real time
        answer = self._cluster.request(method, path, params=params, body=body, **more)
        if fate < self._rules.lost_share + self._rules.twice_share:
            self._deliver_later(path, params, body)
        self._simulation.sleep(after_s)
        return answer

    def _under_way_s(self, is_bulk: bool) -> float:
        if is_bulk and self._chance.random() < self._rules.late_share / 2:
            return self._chance.uniform(0, self._rules.latest_s)
        return self._chance.uniform(0.001, 0.01)

    def _lose(self, fate: float, method: str, path: str, params: Mapping[str, str] | None, body: Any) -> None:
        if fate < 1 / 3:
            self._cluster.request(method, path, params=params, body=body)
        elif fate < 2 / 3:
            self._deliver_later(path, params, body)
        self._simulation.sleep(self._chance.uniform(0, 1))
        raise ConnectionLostError("lost by the test")

    def _deliver_later(self, path: str, params: Mapping[str, str] | None, body: Any) -> None:
        """To the index that the alias leads to now: what is under way was resolved when it came in.

        Not later than the bulk's own ``timeout``: then its server has dropped it.
        """
        alias = path.split("/")[1]
        try:
            index = next(iter(self._cluster.request("GET", f"/_alias/{alias}")))
        except OpenSearchRequestError:
            return
        given = dict(params or {})
        given.pop("require_alias", None)
        most_s = min(self._rules.zombie_s, float(given.get("timeout", "60000ms").removesuffix("ms")) / 1000)
        later_s = self._chance.uniform(min(1.0, most_s / 2), most_s)

        def deliver() -> None:
            self._cluster.request("POST", f"/{index}/_bulk", params=given, body=body)

        self._simulation.spawn("a late retry", deliver, after_s=later_s, process="the network")
