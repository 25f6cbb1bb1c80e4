"""Where targets and mappings are: include/ holds data, never code."""

import os
from collections.abc import Mapping
from pathlib import Path

from dynamo_opensearch.core.errors import PermanentError

INCLUDE_VARIABLE = "DYNAMO_OPENSEARCH_INCLUDE"
ENVIRONMENT_VARIABLE = "DYNAMO_OPENSEARCH_ENVIRONMENT"

_PACKAGE = Path(__file__).resolve().parents[2]


class IncludeFolderError(PermanentError):
    """No folder with target files was found."""

    def __init__(self, looked_in: tuple[str, ...]) -> None:
        super().__init__(looked_in)
        self.looked_in = looked_in

    def __str__(self) -> str:
        return (
            f"no folder with targets/ in it; looked in {', '.join(self.looked_in)}. "
            f"Set {INCLUDE_VARIABLE} to the folder that holds targets/ and mappings/."
        )


def include_folder(variables: Mapping[str, str] = os.environ) -> Path:
    """The folder that ``DYNAMO_OPENSEARCH_INCLUDE`` names; else the project's; else the one inside the package.

    The last is where Amazon's managed Airflow has it, which takes plugins only as a whole.

    Raises:
        IncludeFolderError: none of them has targets/.
    """
    named = variables.get(INCLUDE_VARIABLE)
    candidates = [Path(named)] if named else [_PACKAGE.parents[1] / "include", _PACKAGE / "include"]
    for candidate in candidates:
        if (candidate / "targets").is_dir():
            return candidate
    raise IncludeFolderError(tuple(str(candidate) for candidate in candidates))


def environment_name(variables: Mapping[str, str] = os.environ) -> str:
    """Which entry of a target's ``environments`` this deployment is; ``local`` where nothing is said."""
    return variables.get(ENVIRONMENT_VARIABLE, "local")
