"""The index behind the target's alias: made where there is none, and refused where it is somebody else's."""

from dataclasses import asdict, dataclass
from typing import Any

from dynamo_opensearch.core.backfill.planning import BackfillWishes, PlanPorts, plan_backfill
from dynamo_opensearch.core.backfill.preparing import make_index
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_state import IndexState, read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.targets.model import Target

_ROUNDS = 3
"""Each lost race means that an index has come to be; the next look nearly always finds it behind the alias."""


class AliasElsewhereError(PermanentError):
    """The alias leads to an index that was made for another target."""

    def __init__(self, alias: str, index: str, made_for: str, target: str) -> None:
        super().__init__(alias, index, made_for, target)
        self.alias, self.index, self.made_for, self.target = alias, index, made_for, target

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} leads to index {self.index!r}, which was made for target {self.made_for!r}, not for "
            f"{self.target!r}. Nothing was changed. Correct `alias` in the target file; or, if nobody reads "
            f"{self.made_for!r} through it, take the alias away: POST /_aliases with remove index {self.index}, alias "
            f"{self.alias}, must_exist true. Then start this DAG again: it makes an index of its own."
        )


@dataclass(frozen=True, kw_only=True)
class MadeIndex:
    """The index behind the alias. ``made_by``: the run that made it; empty where this package did not."""

    alias: str
    index: str
    uuid: str
    was_there: bool
    made_by: str

    def __str__(self) -> str:
        if not self.was_there:
            return f"made index {self.index!r}, by the mapping file, behind alias {self.alias!r}"
        maker = f"made by run {self.made_by!r}" if self.made_by else "made by somebody else"
        return f"alias {self.alias!r} leads to index {self.index!r} already, {maker}; it fits the mapping file"

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self)


def make_alias_index(
    target: Target, mapping: MappingFile, builder: DocumentBuilder, stamps: StampRule, run_id: str, ports: PlanPorts
) -> MadeIndex:
    """Make the index as a first backfill does, but with the settings of its file from the start: it is used at once.

    Safe to run again: an index that is there behind the alias, and fits, stays as it is.

    Raises:
        AliasElsewhereError: the alias leads to another target's index.
        AliasIsIndexError, AliasAmbiguousError, AliasUnfitError: the alias is none that can be written through.
        MappingRefusedError: OpenSearch does not take the mapping file.
        Exception: whatever else ``plan_backfill`` refuses.
    """
    for last in (False,) * (_ROUNDS - 1) + (True,):
        _check_own(target, ports.cluster)
        plan = plan_backfill(target, mapping, builder, stamps, BackfillWishes(), ports)
        if not plan.creates_index:
            return _found(target, read_index(ports.cluster, plan.index), was_there=True)
        try:
            state = make_index(plan, mapping, builder, run_id, ports.cluster)
        except OpenSearchRequestError as error:
            if error.error_type != "resource_already_exists_exception" or last:
                raise
        else:
            return _found(target, state, was_there=False)
    raise AssertionError("unreachable")


def _check_own(target: Target, cluster: PatientCluster) -> None:
    """Before anything else is held against it: what does not fit about another target's index does not matter."""
    index = index_behind(cluster, target.alias, target.index_base)
    made_for = None if index is None else read_index(cluster, index).note.get("target")
    if index is not None and made_for not in (None, target.name):
        raise AliasElsewhereError(target.alias, index, str(made_for), target.name)


def _found(target: Target, state: IndexState, *, was_there: bool) -> MadeIndex:
    return MadeIndex(
        alias=target.alias,
        index=state.index,
        uuid=state.uuid,
        was_there=was_there,
        made_by=str(state.note.get("run_id", "")),
    )
