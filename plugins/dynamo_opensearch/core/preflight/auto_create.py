"""Whether a write to a name that is not there makes an index of that name: ``action.auto_create_index``."""

import re


def creates_by_accident(setting: str, name: str) -> bool:
    """What OpenSearch makes of the setting: true, false, or patterns of which the first that matches decides.

    A pattern may begin with ``+`` (also meant without) or ``-``; what none matches is not created.
    """
    text = setting.strip()
    if text.lower() in ("true", ""):
        return True
    if text.lower() == "false":
        return False
    for part in text.split(","):
        pattern = part.strip()
        is_allowed = not pattern.startswith("-")
        if _matches(pattern.lstrip("+-") if pattern[:1] in ("+", "-") else pattern, name):
            return is_allowed
    return False


def without(setting: str, name: str) -> str:
    """The setting changed so that this name is not created, all else as before."""
    return f"-{name},+*" if setting.strip().lower() in ("true", "") else f"-{name},{setting.strip()}"


def _matches(pattern: str, name: str) -> bool:
    """Only ``*`` stands for anything."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name) is not None
