"""Where documents are written to: an alias, and what is wrong when it does not lead there."""

from collections.abc import Callable
from dataclasses import dataclass

from dynamo_opensearch.core.errors import PermanentError


class BulkAnswerError(PermanentError):
    """A bulk answer with another number of entries than the request had actions."""

    def __init__(self, sent: int, answered: int) -> None:
        super().__init__(sent, answered)
        self.sent, self.answered = sent, answered

    def __str__(self) -> str:
        return (
            f"OpenSearch answered {self.answered} of {self.sent} actions of a bulk request. Look for a proxy between "
            "that changes answers, then start again: what was acknowledged is saved."
        )


class AliasLostError(PermanentError):
    """Nothing is behind the alias that the documents were written to."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} was removed while documents were written to it; no index was created in its place. "
            "Start this DAG again, it will plan anew."
        )


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The alias that is written through. ``index_behind`` looks it up again."""

    alias: str
    index_behind: Callable[[], str | None]

    def check_is_there(self) -> None:
        """Raises AliasLostError where nothing is behind the alias any more."""
        if self.index_behind() is None:
            raise AliasLostError(self.alias)
