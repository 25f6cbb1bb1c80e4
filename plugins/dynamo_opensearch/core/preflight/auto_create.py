"""Whether a write to a name that is not there makes an index of that name: ``action.auto_create_index``."""

import re

_ANY_NAME = ("true", "")


def creates_by_accident(setting: str, name: str) -> bool:
    """What OpenSearch makes of the setting: true, false, or patterns of which the first that matches decides.

    A pattern may begin with ``+`` (also meant without) or ``-``; what none matches is not created. ``TRUE`` is one.
    """
    if setting in _ANY_NAME:
        return True
    if setting == "false":
        return False
    for part in setting.split(","):
        pattern = part.strip()
        is_allowed = not pattern.startswith("-")
        if _matches(pattern.lstrip("+-") if pattern[:1] in ("+", "-") else pattern, name):
            return is_allowed
    return False


def without(setting: str, name: str) -> str:
    """The setting changed so that this name is not created, all else as before."""
    return f"-{name},+*" if setting in _ANY_NAME else f"-{name},{setting}"


def _matches(pattern: str, name: str) -> bool:
    """Only ``*`` stands for anything."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name) is not None
