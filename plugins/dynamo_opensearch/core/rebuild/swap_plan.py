"""What a swap is to do, and whether the aliases are as before it or as after it. Pure."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.alias import TargetAliases, write_aliases
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties


class SwapLostError(PermanentError):
    """The aliases are not as the plan found them: another run was faster."""

    def __init__(
        self,
        alias: str,
        from_index: str,
        to_index: str,
        marker: str,
        live: tuple[str, ...],
        marked: tuple[str, ...],
    ) -> None:
        super().__init__(alias, from_index, to_index, marker, live, marked)
        self.alias, self.from_index, self.to_index, self.marker = alias, from_index, to_index, marker
        self.live, self.marked = live, marked

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} was not moved. The plan expected it on {self.from_index!r} and marker "
            f"{self.marker!r} on {self.to_index!r}; now the alias is on {_named(self.live)}, the marker on "
            f"{_named(self.marked)}: another run was faster. This run changed nothing. Look at what the alias leads "
            "to, and start this DAG again if it is still wanted: it will plan anew."
        )


class AliasRoutingChangedError(PermanentError):
    """The alias routes otherwise than when the new index was made: its documents lie in the wrong shards."""

    def __init__(self, alias: str, planned: str | None, actual: str | None) -> None:
        super().__init__(alias, planned, actual)
        self.alias, self.planned, self.actual = alias, planned, actual

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} has index_routing {self.actual!r}, the index to swap to was filled with "
            f"{self.planned!r}: readers would not find its documents by id. The alias was not moved. Put the routing "
            "back by POST _aliases, or let a new rebuild fill an index for it; then start this DAG again."
        )


@dataclass(frozen=True, kw_only=True)
class SwapPlan:
    """From which index the alias goes to which. ``to_marker``: what ``to_index`` carries until then.

    ``properties``: the alias's, when the plan was made. ``keep_h``: hours that ``from_index`` is kept.
    ``block_limit_s``: how long writers may wait at most.
    """

    alias: str
    from_index: str
    to_index: str
    to_marker: str
    uses_write_block: bool
    properties: AliasProperties
    run_id: str
    keep_h: float
    block_limit_s: float = 15.0

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self) | {"properties": self.properties.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**{**value, "properties": AliasProperties.from_json(value["properties"])})

    def is_done(self, seen: TargetAliases) -> bool:
        """Whether the aliases are as after this swap."""
        return list(seen.live) == [self.to_index] and self.to_index not in self._marked(seen)

    def check_possible(self, seen: TargetAliases) -> None:
        """Whether the aliases are still as before it.

        Raises:
            SwapLostError, AliasRoutingChangedError: they are not.
        """
        marked = self._marked(seen)
        if list(seen.live) != [self.from_index] or self.to_index not in marked:
            raise SwapLostError(
                self.alias, self.from_index, self.to_index, self.to_marker, tuple(seen.live), tuple(marked)
            )
        actual = seen.live[self.from_index].index_routing
        if actual != self.properties.index_routing:
            raise AliasRoutingChangedError(self.alias, self.properties.index_routing, actual)

    def dropped(self, seen: TargetAliases) -> list[str]:
        """The indices that have been kept until now, and are no more: there is one previous index."""
        return [index for index in seen.previous if index != self.to_index]

    def actions(self, seen: TargetAliases) -> list[dict[str, Any]]:
        """What OpenSearch is to do at once.

        The alias goes over with the properties that it has *now*: a filter may be somebody's access rule, and a change
        of it since the plan is not for a swap to undo. Only its index_routing must be that of the plan.
        """
        _, _, previous = write_aliases(self.alias)
        properties = seen.live[self.from_index]
        return [
            _remove(self.to_index, self.to_marker),
            _remove(self.from_index, self.alias),
            *(_remove(index, previous) for index in self.dropped(seen)),
            _add(self.to_index, self.alias, properties),
            _add(self.from_index, previous, properties.for_marker),
        ]

    def _marked(self, seen: TargetAliases) -> list[str]:
        _, following, _ = write_aliases(self.alias)
        return list(seen.next if self.to_marker == following else seen.previous)


def _remove(index: str, alias: str) -> dict[str, Any]:
    return {"remove": {"index": index, "alias": alias, "must_exist": True}}


def _add(index: str, alias: str, properties: AliasProperties) -> dict[str, Any]:
    return {"add": {"index": index, "alias": alias, **properties.to_json()}}


def _named(indices: tuple[str, ...]) -> str:
    return ", ".join(repr(one) for one in indices) or "no index"
