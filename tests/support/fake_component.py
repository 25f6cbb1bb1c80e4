"""A component of which a test says what it serves, served, and can serve."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from dynamo_opensearch.core.services.component import Earlier, Progress, Unfit
from dynamo_opensearch.core.services.in_service import InService


@dataclass
class FakeComponent:
    """Component and snapshot in one. ``past``: versions that it knows to have served, the last first."""

    name: str = "ecs"
    resource: str = "ECS service main/api"
    by_hand: str = "aws ecs update-service"
    knows_its_past: bool = True
    in_service: InService = field(default_factory=lambda: InService(version="3", token="t0"))
    past: tuple[str, ...] = ("2", "1")
    barred: dict[str, Unfit] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()
    earlier_try: InService | None = None
    state: Progress = field(default_factory=lambda: Progress(state="stable", text="is stable"))
    changes: list[tuple[str, str]] = field(default_factory=list)

    def snapshot(self) -> "FakeComponent":
        return replace(self)

    def problems(self) -> Iterator[str]:
        return iter(self.troubles)

    def warnings(self) -> Iterator[str]:
        return iter(())

    def earlier(self) -> Iterator[Earlier]:
        return (Earlier(serving=InService(version=one), basis="known") for one in self.past)

    def unfit(self, version: str) -> Unfit | None:
        return self.barred.get(version)

    def describe(self, version: str) -> str:
        return f"image {version}"

    def attempt(self, was: InService, shall: InService) -> InService | None:
        return self.earlier_try

    def progress(self, shall: InService) -> Progress:
        return self.state

    def change(self, was: InService, shall: InService) -> InService:
        """Like ECS: without a look at what is there."""
        self.changes.append((was.version, shall.version))
        self.serve(shall)
        return self.in_service

    def serve(self, what: InService) -> None:
        """Somebody changes it."""
        self.in_service = replace(what, token=f"t{len(self.changes)}-{what.version}", since_us=7)
