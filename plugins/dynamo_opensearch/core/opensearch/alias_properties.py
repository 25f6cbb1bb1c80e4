"""What an alias does to those who read and write through it, kept from one index to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from dynamo_opensearch.core.errors import PermanentError


class AliasRoutingClashError(PermanentError):
    """The alias routes every document, and so does the target's own rule: OpenSearch refuses the second."""

    def __init__(self, alias: str, index_routing: str, field: str) -> None:
        super().__init__(alias, index_routing, field)
        self.alias, self.index_routing, self.field = alias, index_routing, field

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} has index_routing {self.index_routing!r}, and the target routes its documents by "
            f"{self.field!r}: OpenSearch refuses every document that says another routing than its alias. Remove "
            "documents.routing from the target's file, or add the alias anew without routing by POST _aliases; "
            "then start again."
        )


@dataclass(frozen=True, kw_only=True)
class AliasProperties:
    """An alias on one index, in OpenSearch's words.

    Seen on 3.8.0: ``filter`` and ``search_routing`` hide documents from searches and counts through the alias, not
    from writes, ``_mget`` and gets by id. ``index_routing`` routes what is written, got and ``_mget`` through the
    alias; a write that says another routing is refused; through the index itself such a document is found only with
    that routing.
    """

    filter: dict[str, Any] | None = None
    index_routing: str | None = None
    search_routing: str | None = None
    is_write_index: bool | None = None
    is_hidden: bool | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From what OpenSearch answers for an alias, or ``to_json``."""
        return cls(**{one.name: value.get(one.name) for one in fields(cls)})

    def to_json(self) -> dict[str, Any]:
        """As OpenSearch takes it, in an ``add`` of ``_aliases`` and in the creation of an index."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}

    @property
    def for_marker(self) -> "AliasProperties":
        """What a marker must share, so that a document written through it lands where the alias's readers look."""
        return AliasProperties(index_routing=self.index_routing)

    def check_routing(self, alias: str, routing_field: str | None) -> None:
        """Raises AliasRoutingClashError where both the alias and the target's rules route."""
        if self.index_routing is not None and routing_field is not None:
            raise AliasRoutingClashError(alias, self.index_routing, routing_field)
