"""The index of a backfill: made where there is none, loosened while nobody reads it, and put back."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from dynamo_opensearch.core.backfill.planning import BackfillPlan
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.index_life import NewIndex, create_index, loosen_settings, restore_settings
from dynamo_opensearch.core.opensearch.index_state import IndexState, read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster


class SettingsNotRestoredError(PassingError):
    """The index still has the settings of the filling."""

    def __init__(self, index: str, left: dict[str, Any]) -> None:
        super().__init__(index, left)
        self.index, self.left = index, left

    def __str__(self) -> str:
        return f"settings of index {self.index!r} were not put back: {self.left}. The task tries again."


@dataclass(frozen=True, kw_only=True)
class PreparedIndex:
    """The index that a run fills. ``is_loosened``: its settings are to be put back in the end."""

    index: str
    uuid: str
    is_loosened: bool

    def __str__(self) -> str:
        state = "loosened until it is filled" if self.is_loosened else "left as they are: it has readers"
        return f"index {self.index!r} is there; its settings are {state}"

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**value)


def prepare_index(
    plan: BackfillPlan, mapping: MappingFile, builder: DocumentBuilder, run_id: str, cluster: PatientCluster
) -> PreparedIndex:
    """Create the index if the plan says so, and loosen it if nobody reads it. Safe to run again.

    Nobody reads an index that this run has made, or that only carries the marker of the next one.

    Raises:
        MappingRefusedError, AliasIsIndexError, AliasAmbiguousError, OpenSearchRequestError: as ``make_index``.
    """
    if plan.creates_index:
        state = make_index(plan, mapping, builder, run_id, cluster)
    else:
        state = read_index(cluster, plan.index)
    has_readers = not plan.creates_index and not plan.write_alias.endswith("-next")
    if not has_readers:
        loosen_settings(cluster, plan.index)
    return PreparedIndex(index=plan.index, uuid=state.uuid, is_loosened=not has_readers)


def make_index(
    plan: BackfillPlan, mapping: MappingFile, builder: DocumentBuilder, run_id: str, cluster: PatientCluster
) -> IndexState:
    """Create the index that the plan names, behind its alias from its first moment on. Safe to run again.

    Raises:
        MappingRefusedError: OpenSearch does not take the mapping file.
        AliasIsIndexError, AliasAmbiguousError: since the plan, the alias's name has been taken.
        OpenSearchRequestError: another run has made an index of that name since the plan.
    """
    note = _note(plan, mapping, builder, run_id)
    state = create_index(cluster, NewIndex(index=plan.index, alias=plan.write_alias, mapping=mapping, note=note))
    index_behind(cluster, plan.write_alias, plan.index)  # another run may have been faster since the plan
    return state


def put_settings_back(prepared: PreparedIndex, mapping: MappingFile, cluster: PatientCluster) -> None:
    """Undo the loosening, and look whether it is undone. Safe to run again.

    Raises:
        SettingsNotRestoredError: the index says otherwise.
    """
    if not prepared.is_loosened:
        return
    left = restore_settings(cluster, prepared.index, mapping)
    wrong = {name: value for name, value in left.items() if not _is_restored(value, mapping.settings.get(name), name)}
    if wrong:
        raise SettingsNotRestoredError(prepared.index, wrong)


def _is_restored(actual: Any, wanted: Any, name: str) -> bool:
    """As the file says; where it is silent, OpenSearch's default, which it shows for replicas only."""
    if wanted is None:
        return actual is None or (name == "index.number_of_replicas" and str(actual) == "1")
    return str(actual) == str(wanted)


def _note(plan: BackfillPlan, mapping: MappingFile, builder: DocumentBuilder, run_id: str) -> dict[str, Any]:
    """What stands in the index's ``_meta``: how its documents are made, from what, and since when."""
    return {
        "target": plan.target,
        "source": f"table {plan.table}",
        "run_id": run_id,
        "created_us": plan.began_us,
        "mapping_file": mapping.file,
        "mapping_fingerprint": mapping.fingerprint,
        "key": list(builder.key_attributes),
        "field_rules": builder.rules.model_dump(mode="json", exclude_defaults=True),
        "rules_fingerprint": builder.fingerprint(),
    }
