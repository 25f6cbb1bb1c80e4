"""Suspects looked at again and again: what is only late comes right, what stays is a difference."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.compare.join import Kind, Suspect
from dynamo_opensearch.core.compare.looking import Look

LookAt = Callable[[Sequence[Suspect]], Iterable[Look]]


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of one suspect: ``look`` is the last one; ``is_in_motion``: it came right, or it went on changing."""

    look: Look
    is_in_motion: bool


class _Watched:
    """One suspect over several looks."""

    __slots__ = ("has_changed", "look")

    def __init__(self, look: Look) -> None:
        self.look, self.has_changed = look, False

    def seen(self, look: Look) -> None:
        self.has_changed |= (look.item_state, look.document_state) != (self.look.item_state, self.look.document_state)
        self.look = look

    def settled(self) -> Settled:
        return Settled(self.look, is_in_motion=self.look.kind is Kind.EQUAL or self.has_changed)


def settle(suspects: Sequence[Suspect], look_at: LookAt, waits_s: Sequence[float], clock: Clock) -> Iterator[Settled]:
    """Look at once, and after each wait again at what still differs; each suspect comes out once.

    A difference is what differed at every look while neither its item nor its document was written. The waits
    together must be longer than the indexer's lag.
    """
    open_cases = [_Watched(look) for look in look_at(suspects)]
    for wait_s in waits_s:
        yield from (case.settled() for case in open_cases if case.look.kind is Kind.EQUAL)
        open_cases = [case for case in open_cases if case.look.kind is not Kind.EQUAL]
        if not open_cases:
            return
        clock.sleep(wait_s)
        for case, look in zip(open_cases, look_at([case.look.suspect for case in open_cases]), strict=True):
            case.seen(look)
    yield from (case.settled() for case in open_cases)
