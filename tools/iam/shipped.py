"""The one part that ships: in which policies an action stands, for the text of a refusal."""

from tools.iam.calls import Calls
from tools.iam.page import SERVER, dag_id
from tools.iam.policies import needs_of
from tools.local import paths

MODULE = paths.ROOT / "plugins" / "dynamo_opensearch" / "core" / "aws" / "policies_with.py"
HEAD = '''\
"""In which policies of docs/iam.md an action stands. Made by `python -m tools.iam`; do not edit."""

POLICIES_WITH: dict[str, tuple[str, ...]] = {
'''


def module(calls: Calls) -> str:
    """Its source, laid out as ruff does it."""
    policies: dict[str, list[str]] = {}
    for kind in calls.kinds:
        for action in sorted({need.right.action for need in needs_of(kind, calls)}):
            if kind != SERVER:
                policies.setdefault(action, []).append(dag_id(kind, "<target>"))
    return HEAD + "".join(_entry(action, found) for action, found in sorted(policies.items())) + "}\n"


def _entry(action: str, policies: list[str]) -> str:
    if len(policies) == 1:
        return f'    "{action}": ("{policies[0]}",),\n'
    return f'    "{action}": (\n' + "".join(f'        "{one}",\n' for one in policies) + "    ),\n"
