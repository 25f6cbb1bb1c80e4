"""Which names OpenSearch makes an index of by itself: what is said of the setting is what it does."""

import urllib.error
import uuid

import pytest

from dynamo_opensearch.core.preflight.auto_create import creates_by_accident, without
from tools.local import http
from tools.local.processes import Server

SETTINGS = (
    "true",
    "false",
    "-{name},+*",
    "+*,-{name}",
    "logs-*",
    "+{name}",
    "{name}",
    "-{start}*,+{name}",
    "-*live,+*",
    "-{start}?,+*",
    "{start}",
    " +{name} , -*",
    "-logs, +{name}",
    "",
    "TRUE",
    "False",
)


@pytest.fixture
def name(quiet_opensearch: Server) -> str:
    return f"pfauto{uuid.uuid4().hex[:8]}-live"


def is_created(url: str, setting: str, name: str) -> bool:
    """By a write, with the setting as it is here; afterwards both are gone."""
    body = {"persistent": {"action.auto_create_index": setting}}
    http.call(f"{url}/_cluster/settings", method="PUT", body=body)
    try:
        http.call(f"{url}/{name}/_doc/1", method="PUT", body={"x": 1}, timeout_s=30)
    except urllib.error.HTTPError:
        return False
    finally:
        http.call(f"{url}/{name}?ignore_unavailable=true", method="DELETE", timeout_s=30)
        http.call(f"{url}/_cluster/settings", method="PUT", body={"persistent": {"action.auto_create_index": None}})
    return True


@pytest.mark.parametrize("form", SETTINGS)
def test_a_setting_does_what_is_said_of_it(quiet_opensearch: Server, name: str, form: str) -> None:
    setting = form.format(name=name, start=name[:6])
    assert is_created(quiet_opensearch.url, setting, name) is creates_by_accident(setting, name)
    assert not is_created(quiet_opensearch.url, without(setting, name), name)
