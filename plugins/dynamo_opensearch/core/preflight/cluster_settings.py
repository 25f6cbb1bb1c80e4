"""Settings of the cluster, by the value that counts."""

from typing import Any

from dynamo_opensearch.core.preflight.side import Side

_LEVELS = ("transient", "persistent", "defaults")


def read_settings(side: Side, *path: str) -> dict[str, Any]:
    """What lies below a path, at every level at which it can be set.

    Raises:
        AccessDeniedError, ServiceUnavailableError, OpenSearchRequestError: it cannot be asked.
    """
    wanted = {"include_defaults": "true", "filter_path": f"*.{'.'.join(path)}"}
    return dict(side.cluster.request("GET", "/_cluster/settings", params=wanted))


def setting_of(settings: dict[str, Any], *path: str) -> Any:
    """The value that counts: what is set until the next restart, then what is kept, then the default; else None."""
    for level in _LEVELS:
        value: Any = settings.get(level)
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None
