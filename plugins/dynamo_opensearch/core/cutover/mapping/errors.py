"""Why the indexer's event source mapping is left as it is, or is not enabled yet."""

from dynamo_opensearch.core.errors import PassingError, PermanentError


class MappingRefusedError(PermanentError):
    """The mapping that is there would lose changes, or is not the indexer's. Nothing was changed."""

    def __init__(self, mapping: str, state: str, findings: tuple[str, ...]) -> None:
        super().__init__(mapping, state, findings)
        self.mapping, self.state, self.findings = mapping, state, findings

    def __str__(self) -> str:
        lines = "\n".join(self.findings)
        return (
            f"event source mapping {self.mapping} is {self.state}, and is not as the indexer needs it. Nothing was "
            "changed: a setting is somebody's decision. What each is for: docs/indexer-contract.md. Findings: "
            f"{len(self.findings)}\n{lines}\nCorrect them, by these lines or in Terraform, then clear this task."
        )


class SeveralMappingsError(PermanentError):
    """Several mappings hand the same changes to the same function."""

    def __init__(self, function: str, stream: str, mappings: tuple[str, ...]) -> None:
        super().__init__(function, stream, mappings)
        self.function, self.stream, self.mappings = function, stream, mappings

    def __str__(self) -> str:
        lines = "\n".join(f"  {mapping}" for mapping in self.mappings)
        return (
            f"function {self.function!r} has {len(self.mappings)} event source mappings on stream {self.stream}: each "
            "change would be handed to it as often, to different versions where they invoke different aliases. Nothing "
            f"was changed.\n{lines}\nRemove all but one (aws lambda delete-event-source-mapping --uuid <UUID>), then "
            "clear this task."
        )


class MappingBusyError(PassingError):
    """Lambda goes on changing the mapping for longer than is waited for."""

    def __init__(self, mapping: str, state: str, waited_s: float) -> None:
        super().__init__(mapping, state, waited_s)
        self.mapping, self.state, self.waited_s = mapping, state, waited_s

    def __str__(self) -> str:
        return (
            f"event source mapping {self.mapping} is {self.state}, for {self.waited_s:.0f} s now. The task tries "
            "again, and waits as long once more."
        )


class MappingOffError(PermanentError):
    """The mapping was disabled or deleted after it had been enabled."""

    def __init__(self, mapping: str, state: str, reason: str) -> None:
        super().__init__(mapping, state, reason)
        self.mapping, self.state, self.reason = mapping, state, reason

    def __str__(self) -> str:
        told = f" ({self.reason})" if self.reason else ""
        return (
            f"event source mapping {self.mapping} is {self.state}{told}, though it was enabled: somebody has disabled "
            "or deleted it since. Look for whoever did; then clear the task that enables it, and this one."
        )


class NoStreamError(PermanentError):
    """There is nothing that a mapping could read."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table

    def __str__(self) -> str:
        return (
            f"the stream of table {self.table!r} is off, so nothing can be handed to the indexer. Clear the task that "
            "switches it on, then start this one again: set the stream on by another way only with the view type that "
            "the target file asks for."
        )


class NoDestinationError(PermanentError):
    """The target file does not say where failures go."""

    def __init__(self, target: str, line: str) -> None:
        super().__init__(target, line)
        self.target, self.line = target, line

    def __str__(self) -> str:
        return (
            f"target {self.target!r} names no dead-letter queue, and without one what the indexer fails on is lost. No "
            f"event source mapping was made. Set one, {self.line}; then clear this task."
        )


class MappingNotMadeError(PermanentError):
    """Lambda takes the mapping for wrong."""

    def __init__(self, function: str, action: str, code: str) -> None:
        super().__init__(function, action, code)
        self.function, self.action, self.code = function, action, code

    def __str__(self) -> str:
        return (
            f"Lambda refused {self.action} for function {self.function!r}: {self.code}. Check that the function's role "
            "may read the stream and send to the dead-letter queue (the preflight's check roles lists what it lacks), "
            "and that function and alias are there; then clear this task."
        )
