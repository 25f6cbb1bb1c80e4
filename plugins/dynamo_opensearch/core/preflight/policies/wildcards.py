"""How IAM matches names, ARNs and texts with ``*`` and ``?``.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

import re
from functools import cache

from dynamo_opensearch.core.preflight.policies.tri import Tri

_SEGMENTS = 6
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = ("*", "?", "$")
"""``${*}``, ``${?}`` and ``${$}`` stand for the characters themselves."""


def matches_text(pattern: str, text: str) -> bool:
    """As StringLike does: case counts."""
    return _plain(pattern).fullmatch(text) is not None


def matches_action(pattern: str, action: str) -> bool:
    """Actions are the same in capitals."""
    return _plain(pattern.lower()).fullmatch(action.lower()) is not None


def matches_arn(pattern: str, arn: str) -> Tri:
    """Whether an ARN fits a pattern of ``Resource``; with a variable in the pattern it may.

    A ``*`` within one of the first five segments ends at its colon, one at a segment's end goes beyond. What is left
    out of an ARN at its end stands for everything. ``arn`` may be ``*``: an action that knows no resources.
    """
    if pattern == "*":
        return Tri.YES
    if arn == "*":
        return Tri.of(_plain(pattern).fullmatch(arn) is not None)
    variables = [name for name in _VARIABLE.findall(pattern) if name not in _LITERALS]
    if variables:
        wide = _VARIABLE.sub(lambda found: found[0] if found[1] in _LITERALS else "*", pattern)
        return Tri.MAYBE if _arn(wide).fullmatch(arn) else Tri.NO
    return Tri.of(_arn(pattern).fullmatch(arn) is not None)


@cache
def _plain(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern), re.S)


@cache
def _arn(pattern: str) -> re.Pattern[str]:
    missing = _SEGMENTS - 1 - pattern.count(":")
    whole = pattern + ":*" * max(0, missing)
    parts: list[str] = []
    colons, position = 0, 0
    while position < len(whole):
        found = _VARIABLE.match(whole, position)
        if found:
            parts.append(re.escape(found[1]))
            position = found.end()
            continue
        one = whole[position]
        is_inside = colons < _SEGMENTS - 1
        is_last = whole[position + 1 : position + 2] in ("", ":")
        if one == "*":
            parts.append("[^:]*" if is_inside and not is_last else ".*")
        elif one == "?":
            parts.append("[^:]" if is_inside else ".")
        else:
            parts.append(re.escape(one))
        colons += one == ":"
        position += 1
    return re.compile("".join(parts), re.S)
