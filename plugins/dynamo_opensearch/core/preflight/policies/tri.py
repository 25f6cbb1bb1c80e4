"""Yes, no, and what depends on the request: three-valued logic after Kleene."""

from collections.abc import Iterable
from enum import IntEnum


class Tri(IntEnum):
    """``MAYBE``: with one request yes, with another no."""

    NO = 0
    MAYBE = 1
    YES = 2

    @classmethod
    def of(cls, value: bool) -> "Tri":
        """Yes or no."""
        return cls.YES if value else cls.NO

    def __invert__(self) -> "Tri":
        return Tri(2 - self)


def all_of(values: Iterable[Tri]) -> Tri:
    """Yes where all are; no where one is not."""
    return min(values, default=Tri.YES)


def any_of(values: Iterable[Tri]) -> Tri:
    """Yes where one is; no where none is."""
    return max(values, default=Tri.NO)
