"""Why a service is not taken back, or is not where it should be."""

from dynamo_opensearch.core.errors import PassingError, PermanentError


class ServiceUnnamedError(PermanentError):
    """The target's file does not name what a component needs."""

    def __init__(self, component: str, target: str, environment: str, problem: str) -> None:
        super().__init__(component, target, environment, problem)
        self.component, self.target, self.environment, self.problem = component, target, environment, problem

    def __str__(self) -> str:
        return (
            f"component {self.component!r} of target {self.target!r} cannot be rolled back, nothing was changed: "
            f"{self.problem}. Correct environments.{self.environment} of the target's file, or choose another "
            "component."
        )


class ServiceRollbackRefusedError(PermanentError):
    """There is nothing to go back to, or the way is barred."""

    def __init__(self, resource: str, by_hand: str, problems: tuple[str, ...]) -> None:
        super().__init__(resource, by_hand, problems)
        self.resource, self.by_hand, self.problems = resource, by_hand, problems

    def __str__(self) -> str:
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return (
            f"{self.resource} cannot be rolled back, nothing was changed. Problems: {len(self.problems)}\n{lines}\n"
            f"Mend what can be mended, then start this DAG again; or deploy the version that you want: {self.by_hand}"
        )


class ServiceChangedError(PermanentError):
    """Another run changed the component after this one was triggered, or while it was about to."""

    def __init__(self, resource: str, change: str) -> None:
        super().__init__(resource, change)
        self.resource, self.change = resource, change

    def __str__(self) -> str:
        return (
            f"{self.resource} was changed by another run since this one was triggered: {self.change}. This run changed "
            "nothing: it would have undone that. Look at what is in service now, then start this DAG again."
        )


class ServiceMovedError(PermanentError):
    """The component does not serve what the plan said it would."""

    def __init__(self, resource: str, expected: str, actual: str) -> None:
        super().__init__(resource, expected, actual)
        self.resource, self.expected, self.actual = resource, expected, actual

    def __str__(self) -> str:
        return (
            f"{self.resource} serves {self.actual}, the plan expected {self.expected}: somebody else has changed it "
            "since. This run changed nothing. Start this DAG again, it will plan anew."
        )


class ServiceBusyError(PassingError):
    """Lambda is just changing the alias."""

    def __init__(self, resource: str) -> None:
        super().__init__(resource)
        self.resource = resource

    def __str__(self) -> str:
        return f"another change of {self.resource} is under way at Lambda; the task tries again."
