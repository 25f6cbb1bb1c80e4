"""What can come of a copy by `_reindex`, and what to do then."""

from dynamo_opensearch.core.errors import PassingError, PermanentError


class EmptySourceError(PermanentError):
    """There is nothing to copy."""

    def __init__(self, index: str) -> None:
        super().__init__(index)
        self.index = index

    def __str__(self) -> str:
        return (
            f"index {self.index!r} counts no documents after a refresh, so a copy of it would say nothing. If the "
            "table is empty, or the index is not the right one: start this DAG again with source=table."
        )


class ServerCopyLostError(PermanentError):
    """The index that is copied to is not this run's any more."""

    def __init__(self, index: str, problem: str) -> None:
        super().__init__(index, problem)
        self.index, self.problem = index, problem

    def __str__(self) -> str:
        return (
            f"index {self.index!r} {self.problem} while it was being filled, so the copy was cancelled: another run "
            "or somebody took it away. The alias is as it was. Start this DAG again, it will plan anew."
        )


class ServerCopyInterruptedError(PassingError):
    """The copy was broken off again and again."""

    def __init__(self, to_index: str, starts: int, last_problem: str) -> None:
        super().__init__(to_index, starts, last_problem)
        self.to_index, self.starts, self.last_problem = to_index, starts, last_problem

    def __str__(self) -> str:
        return (
            f"the copy to {self.to_index!r} was begun {self.starts} times and broken off each time, the last time by "
            f"{self.last_problem}. The task tries again; what is there already is skipped."
        )


class ServerCopyRefusedError(PermanentError):
    """The new index refused documents of the old one, and with that `_reindex` stops."""

    def __init__(self, from_index: str, to_index: str, reasons: dict[str, int], copied: int) -> None:
        super().__init__(from_index, to_index, reasons, copied)
        self.from_index, self.to_index, self.reasons, self.copied = from_index, to_index, reasons, copied

    def __str__(self) -> str:
        lines = "\n".join(f"  {count} x {reason}" for reason, count in self.reasons.items())
        return (
            f"_reindex from {self.from_index!r} to {self.to_index!r} stopped after {self.copied} documents:\n{lines}\n"
            "It stops at the first batch that holds a refused document, so there may be more. Correct the mapping or "
            "the items; or use source=table, which copies all others and writes each refused one to the reject files. "
            "Then start this DAG again."
        )


class ServerCopyCanceledError(PermanentError):
    """Somebody cancelled the copy while it was being watched."""

    def __init__(self, to_index: str, reason: str) -> None:
        super().__init__(to_index, reason)
        self.to_index, self.reason = to_index, reason

    def __str__(self) -> str:
        return (
            f"the copy to {self.to_index!r} was cancelled ({self.reason}), not by this task. Nothing reads that index. "
            "Clear this task to copy again, or start this DAG again."
        )


class ServerCopyIncompleteError(PassingError):
    """`_reindex` reports success for fewer documents than there were."""

    def __init__(self, from_index: str, copied: int, expected: int, what: str) -> None:
        super().__init__(from_index, copied, expected, what)
        self.from_index, self.copied, self.expected, self.what = from_index, copied, expected, what

    def __str__(self) -> str:
        return (
            f"_reindex from {self.from_index!r} reports success with {self.copied} documents, {self.expected} were "
            f"expected ({self.what}). The task tries again and copies once more; what is there already is skipped."
        )
