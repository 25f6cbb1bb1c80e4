"""Keys and logins are found wherever they stand in a connection's extra, and told by their field, never by value."""

import re
from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.credentials import fields_with_keys, fields_with_logins, has_login

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
PACKAGE = Path(__file__).parents[2] / "plugins" / "dynamo_opensearch"


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        ({"aws_access_key_id": "x"}, ["extra.aws_access_key_id"]),
        ({"aws_secret_access_key": "x"}, ["extra.aws_secret_access_key"]),
        ({"aws_session_token": "x"}, ["extra.aws_session_token"]),
        ({"session_kwargs": {"aws_session_token": "x"}}, ["extra.session_kwargs.aws_session_token"]),
        ({"extra__aws__aws_access_key_id": "x"}, ["extra.extra__aws__aws_access_key_id"]),
        ({"credentials": {"AccessKeyId": "x", "SessionToken": "y"}}, ["AccessKeyId", "SessionToken"]),
        ({"s3": [{"access_key": "x", "secret-key": "y"}]}, ["extra.s3.0.access_key", "extra.s3.0.secret-key"]),
        ({"note": f"the key {KEY_ID} of the old user"}, ["extra.note"]),
        ({"config_kwargs": {"user_agent_extra": f"k/{KEY_ID.replace('AKIA', 'ASIA')}"}}, ["user_agent_extra"]),
    ],
    ids=lambda value: "+".join(value),
)
def test_keys_are_found_by_name_and_by_form(extra: dict[str, Any], fields: list[str]) -> None:
    found = fields_with_keys(extra)
    assert len(found) == len(fields)
    assert all(path.startswith("extra.") and path.endswith(field) for path, field in zip(found, fields, strict=True))


def test_what_an_ordinary_connection_has_is_no_key() -> None:
    ordinary = {
        "region_name": "eu-central-1",
        "role_arn": "arn:aws:iam::123456789012:role/worker",
        "profile_name": "worker",
        "assume_role_kwargs": {"ExternalId": "AKIAshort", "DurationSeconds": 900},
        "service_config": {"s3": {"endpoint_url": "https://s3.example.com", "verify": None}},
        "aws_access_key_id": "",
        "aws_session_token": None,
    }
    assert fields_with_keys(ordinary) == ()
    assert fields_with_logins(ordinary) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://ada:secret@search.example.com/x", True),
        ("http://ada@127.0.0.1:4566", True),
        (" //ada:secret@proxy:3128", True),
        ("http://[::1@x", True),
        ("https://search.example.com/a@b?c=d@e", False),
        ("ada@example.com", False),
        ("http://[::1]:4566", False),
        ("http://[::1", False),
        (8080, False),
        (None, False),
    ],
)
def test_an_address_with_a_login_is_told_from_one_without(text: Any, found: bool) -> None:
    assert has_login(text) is found


def test_logins_are_found_wherever_they_stand() -> None:
    extra = {
        "endpoint_url": "https://ada:secret@aws.example.com",
        "config_kwargs": {"proxies": {"https": "http://ada:secret@proxy:3128"}},
        "service_config": {"sts": {"endpoint_url": "https://sts.example.com"}},
    }
    assert fields_with_logins(extra) == ("extra.endpoint_url", "extra.config_kwargs.proxies.https")


def test_every_place_of_files_is_made_where_its_connection_is_checked() -> None:
    makers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bObjectStoragePath\(", path.read_text())
    }
    assert makers == {"operators/object_storage.py"}
