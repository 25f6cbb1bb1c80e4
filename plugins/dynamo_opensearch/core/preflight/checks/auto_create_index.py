"""``action.auto_create_index``: whether a write makes an index of the alias's name in a moment without the alias."""

from collections.abc import Iterator

from dynamo_opensearch.core.preflight.auto_create import creates_by_accident, without
from dynamo_opensearch.core.preflight.cluster_settings import read_settings, setting_of
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.look import Look
from dynamo_opensearch.core.preflight.side import Side

_PATH = ("action", "auto_create_index")
_NAME = ".".join(_PATH)
_ANY_ALIAS = "<alias>"


def look_at_auto_create_index(side: Side) -> Look:
    """The setting against the alias's name.

    Raises:
        AccessDeniedError, ServiceUnavailableError, OpenSearchRequestError: it cannot be asked.
    """
    setting = str(setting_of(read_settings(side, *_PATH), *_PATH) or "true")
    return Look(
        seen=f"{_NAME} is {setting}",
        findings=tuple(_findings(side, setting)),
        # In terms that hold for environments whose alias has another name.
        fields={_NAME: setting.replace(side.target.alias, _ANY_ALIAS)},
        align=lambda _name, value: _line(side, str(value).replace(_ANY_ALIAS, side.target.alias)),
    )


def _findings(side: Side, setting: str) -> Iterator[Finding]:
    alias = side.target.alias
    if creates_by_accident(setting, alias):
        yield Finding(
            what=_NAME,
            found=setting,
            expected=f"nothing that makes an index named {alias} when the alias is away for a moment",
            remedy=_line(side, without(setting, alias)),
        )


def _line(side: Side, setting: str) -> str:
    """What is set until the next restart only would go before it, and is taken away."""
    body = {"persistent": {_NAME: setting}, "transient": {_NAME: None}}
    return side.curl_line("PUT", "/_cluster/settings", body)
