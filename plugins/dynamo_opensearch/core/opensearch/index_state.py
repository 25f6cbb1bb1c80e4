"""What an index is like: mapping, settings, and what the package once noted in its ``_meta``."""

from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.opensearch.patient import PatientCluster

META_KEY = "dynamo_opensearch"


@dataclass(frozen=True, kw_only=True)
class IndexState:
    """``settings`` are flat (``index.refresh_interval``), ``mappings`` without ``_meta``; ``note`` is that of ours."""

    index: str
    uuid: str
    mappings: dict[str, Any]
    settings: dict[str, Any]
    note: dict[str, Any]

    @property
    def field_rules(self) -> FieldRules | None:
        """The rules that its documents were made by; None on an index that the project did not create."""
        rules = self.note.get("field_rules")
        return None if rules is None else FieldRules.model_validate(rules)


def read_index(cluster: PatientCluster, index: str) -> IndexState:
    """The index as it is now.

    Raises:
        OpenSearchRequestError: 404 when it is not there.
    """
    answer = cluster.request("GET", f"/{index}", params={"flat_settings": "true"})[index]
    mappings = dict(answer["mappings"])
    note = mappings.pop("_meta", {}).get(META_KEY, {})
    settings = answer["settings"]
    return IndexState(index=index, uuid=settings["index.uuid"], mappings=mappings, settings=settings, note=note)
