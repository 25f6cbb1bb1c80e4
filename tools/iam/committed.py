"""The files that are made from the recorded calls, and how they are kept fresh."""

import json
from pathlib import Path

from dynamo_opensearch.core.targets.arns import Place
from tools.iam.calls import COMMITTED, Calls, read_records, understand
from tools.iam.page import dag_id, page
from tools.iam.policies import Document, policy_of
from tools.iam.sample import sample_names, sample_target
from tools.iam.shipped import MODULE, module
from tools.local import ministack, paths

PAGE, FOLDER = paths.ROOT / "docs" / "iam.md", paths.ROOT / "docs" / "iam"
ENVIRONMENT = "local"
"""Of the target files of the tests that are recorded."""


def of_the_tests() -> Place:
    """Where the resources of the tests are."""
    return Place(partition="aws", region=ministack.REGION, account="000000000000")


def sample_policy(kind: str, calls: Calls) -> Document:
    """A DAG's policy with the sample's names."""
    return policy_of([([kind], sample_names())], calls)


def files(calls: Calls) -> dict[Path, str]:
    """All that is made from the calls, by path."""
    policies = {
        FOLDER / f"{dag_id(kind, sample_target().name)}.json": json.dumps(sample_policy(kind, calls), indent=2) + "\n"
        for kind in calls.kinds
    }
    return {PAGE: page(calls), MODULE: module(calls), **policies}


def write() -> None:
    """Make them anew, and remove those of DAGs that there are no more. Safe to run again."""
    made = files(Calls.committed())
    FOLDER.mkdir(exist_ok=True)
    for path, text in made.items():
        path.write_text(text)
    for path in set(FOLDER.glob("*.json")) - made.keys():
        path.unlink()


def stale() -> list[Path]:
    """Those that are not as the calls say, and those that should not be there."""
    made = files(Calls.committed())
    differing = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    return sorted([*differing, *(set(FOLDER.glob("*.json")) - made.keys())])


def take(folder: Path, *, adds: bool) -> int:
    """Commit what a test run has recorded: in place of all that was known, or in addition to it. The calls taken.

    Raises:
        UnknownOperationError, ForeignCallError: a call cannot be understood; nothing is written then.
    """
    calls = Calls.committed() if adds else Calls()
    taken = 0
    for record in read_records(folder):
        known = understand(record, ENVIRONMENT, of_the_tests(), {})
        if known is not None:
            calls.add(known)
            taken += 1
    COMMITTED.write_text(calls.text())
    write()
    return taken
