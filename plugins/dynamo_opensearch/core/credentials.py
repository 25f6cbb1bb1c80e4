"""Credentials that stand where they may be read: keys in a connection, logins in addresses. Fields, never values."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

_KEY_NAMES = ("accesskeyid", "accesskey", "secretkey", "sessiontoken")
"""How names of AWS's credentials end, in small letters and without what is between them."""

_KEY_ID = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b")
"""AWS's access key ids: of users, and of sessions."""


def fields_with_keys(extra: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of a connection's extra that are named like AWS's credentials, or hold what looks like a key's id."""
    return tuple(path for path, name, value in _leaves(extra, "extra") if _is_key(name, value))


def fields_with_logins(extra: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of a connection's extra that hold an address with ``user:password@`` in it."""
    return tuple(path for path, _, value in _leaves(extra, "extra") if has_login(value))


def has_login(value: Any) -> bool:
    """Whether a text is an address with ``user@`` or ``user:password@`` before its host."""
    if not isinstance(value, str):
        return False
    try:
        return "@" in urlsplit(value).netloc
    except ValueError:  # brackets that close nothing
        return "@" in value


def _leaves(value: Any, path: str, name: str = "") -> Iterator[tuple[str, str, Any]]:
    """Dotted path, name and value of each leaf. A member of a list has the list's name."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _leaves(member, f"{path}.{key}", str(key))
    elif isinstance(value, list | tuple):
        for number, member in enumerate(value):
            yield from _leaves(member, f"{path}.{number}", name)
    else:
        yield path, name, value


def _is_key(name: str, value: Any) -> bool:
    plain = re.sub(r"[^a-z]", "", name.lower())
    return bool(value) and (plain.endswith(_KEY_NAMES) or (isinstance(value, str) and bool(_KEY_ID.search(value))))
