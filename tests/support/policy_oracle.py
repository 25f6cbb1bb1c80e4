"""IAM's evaluation of a request whose context is known whole. Shares no code with the package.

Two-valued, and without the ends of ARN segments: enough for the policies that tests make of a few simple parts.
"""

import re
from typing import Any

Document = dict[str, Any]


def is_allowed(documents: list[Document], action: str, resource: str, context: dict[str, str]) -> bool | None:
    """True: allowed; False: denied; None: nothing allows it."""
    about = [
        one["Effect"]
        for document in documents
        for one in document["Statement"]
        if _is_about(one, action, resource, context)
    ]
    if "Deny" in about:
        return False
    return True if "Allow" in about else None


def _is_about(statement: Document, action: str, resource: str, context: dict[str, str]) -> bool:
    if "NotAction" in statement:
        has_action = not any(_like(one.lower(), action.lower()) for one in _list(statement["NotAction"]))
    else:
        has_action = any(_like(one.lower(), action.lower()) for one in _list(statement["Action"]))
    if "NotResource" in statement:
        has_resource = not any(_like(one, resource) for one in _list(statement["NotResource"]))
    else:
        has_resource = any(_like(one, resource) for one in _list(statement["Resource"]))
    return has_action and has_resource and _holds(statement.get("Condition", {}), context)


def _holds(condition: Document, context: dict[str, str]) -> bool:
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            found = context.get(key)
            equal = found is not None and any(_like(one, found) for one in _list(wanted))
            is_met = {
                "StringEquals": equal,
                "StringLike": equal,
                "StringNotEquals": not equal,
                "StringEqualsIfExists": found is None or equal,
                "Null": (found is None) == (_list(wanted) == ["true"]),
            }[operator]
            if not is_met:
                return False
    return True


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
