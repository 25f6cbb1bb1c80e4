"""Policies for remedies: one action on one resource, under a name of its own."""

import re
from typing import Any

_VERSION = "2012-10-17"
_LONGEST_NAME = 128


def policy_name(prefix: str, action: str, arn: str) -> str:
    """A name of its own for each action and resource: a policy that is put replaces the one of its name."""
    words = [prefix, action, *([] if arn == "*" else [arn.split(":", 5)[-1]])]
    return re.sub(r"[^A-Za-z0-9_]+", "-", " ".join(words)).strip("-")[:_LONGEST_NAME]


def allow(action: str, resource: str) -> dict[str, Any]:
    """A statement."""
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def policy(statements: list[Any]) -> dict[str, Any]:
    """A document."""
    return {"Version": _VERSION, "Statement": statements}
