"""`python -m tools.iam`: makes docs/iam.md and the policies beside it; with `--target` it prints a policy of one's own.

`--take FOLDER` commits the calls that a whole run of the tests has recorded there (build/calls), in place of those that
were known; with `--add` in addition to them.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.local import paths

sys.path.append(str(paths.ROOT / "plugins"))

from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.targets.include_folder import environment_name, include_folder
from tools.iam import committed
from tools.iam.calls import Calls, ForeignCallError
from tools.iam.names import STATE_INDEX
from tools.iam.operations import UnknownOperationError
from tools.iam.own_names import Asked, WrongNameError, own_policy
from tools.iam.sample import OTHERS


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, check, take or print; 1 where something is stale, or is not there."""
    given = _parser().parse_args(arguments)
    if given.target is not None:
        return _print_own(given)
    if given.take is not None:
        try:
            print(f"{committed.take(given.take, adds=given.add)} recorded calls taken")
        except (ForeignCallError, UnknownOperationError) as error:
            print(error, file=sys.stderr)
            return 1
    elif not given.check:
        committed.write()
    found = committed.stale()
    for path in found:
        print(f"{path.relative_to(paths.ROOT)} is stale: python -m tools.iam")
    return int(bool(found))


def _print_own(given: argparse.Namespace) -> int:
    others = {name: arns for name in OTHERS if (arns := getattr(given, _option(name)[2:].replace("-", "_")))}
    names = ("include", "target", "environment", "account", "region", "partition", "state_index", "dag")
    asked = Asked(**{name: getattr(given, name) for name in names}, others=others)
    try:
        document, missing = own_policy(asked, Calls.committed())
    except (SyncError, WrongNameError) as error:
        print(error, file=sys.stderr)
        return 1
    if missing:
        print(f"not named, and so left out: {', '.join(missing)} (docs/iam.md#names)", file=sys.stderr)
    print(json.dumps(document, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.iam", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when something is stale")
    parser.add_argument("--take", type=Path, metavar="FOLDER", help="recorded calls to be committed")
    parser.add_argument("--add", action="store_true", help="with --take: keep the calls that were known")
    own = parser.add_argument_group("a policy of one's own, printed")
    own.add_argument("--target", help="name of the target")
    own.add_argument("--environment", default=environment_name(), help="one of its file; default: %(default)s")
    own.add_argument("--account", default="<account>", help="twelve digits")
    own.add_argument("--region", help="default: the environment's")
    own.add_argument("--partition", default="aws", help="default: %(default)s")
    own.add_argument("--dag", help="a DAG's id; default: one policy for all of the target's DAGs")
    own.add_argument("--state-index", default=_state_index(), help="default: %(default)s")
    own.add_argument("--include", type=Path, default=include_folder(), help="default: %(default)s")
    for name in OTHERS:
        own.add_argument(_option(name), action="append", metavar="ARN", help="may be given several times")
    return parser


def _option(placeholder: str) -> str:
    return f"--{placeholder.strip('<>')}"


def _state_index() -> str:
    return os.environ.get("DYNAMO_OPENSEARCH_STATE_INDEX") or STATE_INDEX


if __name__ == "__main__":
    sys.exit(main())
