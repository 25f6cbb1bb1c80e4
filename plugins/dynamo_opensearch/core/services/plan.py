"""What goes back to what, and how that is known."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.recorded import RecordedChange

PURPOSE = "rollback"
_LISTS = ("details", "passed_over", "warnings")


@dataclass(frozen=True, kw_only=True)
class ServiceRollbackPlan:
    """``was``, which is in service now, is to be replaced by ``shall``.

    ``basis``: how it is known that ``shall`` was in service before. ``is_undo``: it is what an earlier run replaced.
    ``details``: what both are made of. ``passed_over``: what was in service later than ``shall`` but cannot be, with
    the reason. ``warnings``: what the one who decides should know. ``after``: the mark of the last recorded change.
    """

    target: str
    component: str
    resource: str
    was: InService
    shall: InService
    basis: str
    is_undo: bool = False
    after: str | None = None
    details: tuple[str, ...] = field(default=())
    passed_over: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())

    def change(self, deployment: str, dag_id: str, run_id: str) -> RecordedChange:
        """The change as it is recorded."""
        return RecordedChange(
            component=self.component,
            resource=self.resource,
            purpose=PURPOSE,
            deployment=deployment,
            dag_id=dag_id,
            run_id=run_id,
            was=self.was,
            shall=self.shall,
            began_us=0,
        )

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        ends = {"was": self.was.to_json(), "shall": self.shall.to_json()}
        return asdict(self) | ends | {name: list(getattr(self, name)) for name in _LISTS}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``; what a newer version has added is left out."""
        known = {one.name: value[one.name] for one in fields(cls) if one.name in value}
        known |= {name: InService.from_json(value[name]) for name in ("was", "shall")}
        known |= {name: tuple(value[name]) for name in _LISTS}
        return cls(**known)

    def __str__(self) -> str:
        direction = "goes forward again" if self.is_undo else "goes back"
        lines = [
            f"{self.resource} {direction} from {self.was} to {self.shall}",
            f"how that is known: {self.basis}",
            *self.details,
            *(f"passed over: {one}" for one in self.passed_over),
            *(f"warning: {one}" for one in self.warnings),
        ]
        return f"rollback of {self.component} of target {self.target!r}\n" + "\n".join(f"  - {one}" for one in lines)
