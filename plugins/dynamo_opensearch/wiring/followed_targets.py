"""Which targets need a follower."""

import logging
from dataclasses import replace

from airflow.providers.common.compat.sdk import AirflowException

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.opensearch.alias import write_aliases
from dynamo_opensearch.core.targets.include_folder import environment_name, include_folder
from dynamo_opensearch.core.targets.loading import load_targets
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.wiring.target_connections import TargetConnections

_IMPATIENT = RetryPolicy(give_up_after_s=3.0)
_ASK_AGAIN_AFTER_S = 60.0

log = logging.getLogger(__name__)


def followable_targets() -> list[str]:
    """Names of the enabled targets that have this deployment's environment; others tell of it in their own DAGs."""
    return sorted(_followable())


def _followable() -> dict[str, Target]:
    """By name, in this deployment's environment."""
    here, targets = environment_name(), load_targets(include_folder()).targets.values()
    return {one.name: one.in_environment(here) for one in targets if one.enabled and here in one.environments}


class FollowedTargets:
    """Which targets have an index that the indexer does not feed. Not thread-safe.

    Keeps its connections, as long as the target's file is as it was.

    A target whose cluster does not answer is not waited for, and is not asked again for a minute: it must not stop the
    others. Its own task waits, and says so.
    """

    def __init__(self) -> None:
        self._connections: dict[str, TargetConnections] = {}
        self._silent_until_s: dict[str, float] = {}

    def markers(self, name: str) -> list[str]:
        """Which index of a target carries which alias or marker, one text for each.

        Raises:
            SyncError: its cluster does not answer, or refuses.
        """
        connections = self._of(name)
        aliases = ",".join(write_aliases(connections.target.alias))
        found = connections.patient.request("GET", f"/_cat/aliases/{aliases}", params={"format": "json"})
        return sorted(f"{one['alias']} {one['index']}" for one in found)

    def needed(self, *, or_silent: bool = False) -> list[str]:
        """Names of the enabled targets whose alias has a marker, or whose follower still owes something.

        ``or_silent``: also those whose cluster does not tell.
        """
        targets = _followable()
        for name in [name for name, one in self._connections.items() if one.target != targets.get(name)]:
            del self._connections[name]
            self._silent_until_s.pop(name, None)
        return [name for name in sorted(targets) if self._is_needed(name, or_silent=or_silent)]

    def _is_needed(self, name: str, *, or_silent: bool) -> bool:
        clock = SystemClock()
        if clock.monotonic_s() < self._silent_until_s.get(name, 0.0):
            return or_silent
        try:
            return self._needs_following(name)
        except (SyncError, AirflowException) as error:  # a connection may be missing, too
            log.warning("whether target %s must be followed cannot be told now: %s", name, error)
            self._silent_until_s[name] = clock.monotonic_s() + _ASK_AGAIN_AFTER_S
            return or_silent

    def _needs_following(self, name: str) -> bool:
        alias = self._of(name).target.alias
        if any(not one.startswith(f"{alias} ") for one in self.markers(name)):
            return True
        saved = self._of(name).state("follow").load()
        return bool(saved and saved["joined"])

    def _of(self, name: str) -> TargetConnections:
        if name not in self._connections:
            self._connections[name] = replace(TargetConnections.of(name), retry=_IMPATIENT)
        return self._connections[name]
