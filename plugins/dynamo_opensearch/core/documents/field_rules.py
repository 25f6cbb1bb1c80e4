"""How a target's documents differ from its items: the part of a target file that is also kept with each index."""

import hashlib
from typing import Annotated, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dynamo_opensearch.core.documents.item_filter import ItemFilter

FieldName = Annotated[str, Field(min_length=1, max_length=255)]


class FieldRules(BaseModel):
    """What becomes of an item's attributes. Order: filter, choice of attributes, flatten, renames, transform."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    include_fields: tuple[FieldName, ...] | None = Field(
        None,
        min_length=1,
        description="Only these attributes get into the document. Personal data must be named here.",
    )
    exclude_fields: tuple[FieldName, ...] = Field((), description="All attributes but these get into the document.")
    flatten: dict[FieldName, str] = Field(
        default_factory=dict,
        description="Map attribute to prefix: the map's members become fields of the document, named prefix + name.",
    )
    renames: dict[FieldName, FieldName] = Field(
        default_factory=dict, description="Field to new name, after flattening."
    )
    filter: ItemFilter | None = Field(
        None, description="Which items belong. An item that stops to match is deleted from the index."
    )
    routing: FieldName | None = Field(
        None,
        description="Key attribute whose value routes the document; a key never changes, so neither does it.",
    )
    transform: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = Field(
        None,
        description="module:function, pure: takes the document as a dict, returns one (never None).",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.include_fields is not None and self.exclude_fields:
            problems.append("include_fields and exclude_fields exclude each other")
        if len(set(self.renames.values())) != len(self.renames):
            problems.append("renames gives one name to two fields")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def fingerprint(self, transform_fingerprint: str | None = None) -> str:
        """SHA-256 (first 16 digits) of the rules and of the transform's code."""
        canonical = orjson.dumps(
            [self.model_dump(mode="json", exclude_defaults=True), transform_fingerprint],
            option=orjson.OPT_SORT_KEYS,
        )
        return hashlib.sha256(canonical).hexdigest()[:16]
