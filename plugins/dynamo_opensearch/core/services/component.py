"""What a rollback asks of a component, be it an ECS service or a Lambda alias."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from dynamo_opensearch.core.services.in_service import InService


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What was in service, or may have been. ``basis``: how that is known. ``why_not``: what bars it, if anything."""

    serving: InService
    basis: str
    why_not: str | None = None
    is_undo: bool = False


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """Why a version cannot be gone to. ``is_passing``: it could be soon, so nothing older is taken in its place."""

    reason: str
    is_passing: bool = False


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a component has come with what it shall serve. ``text``: what was seen, and what to do where it failed.

    ``rolled back``: ECS itself went back. ``replaced``: somebody else put something else in service.
    """

    state: Literal["under way", "stable", "rolled back", "failed", "replaced"]
    text: str


class Snapshot(Protocol):
    """A component as it was seen at one moment; what it needs besides is read when it is asked for."""

    @property
    def in_service(self) -> InService:
        """What it serves."""
        ...

    def problems(self) -> Iterator[str]:
        """Why it cannot be rolled back at all, with what to do."""
        ...

    def warnings(self) -> Iterator[str]:
        """What the one who decides should know."""
        ...

    def earlier(self) -> Iterator[Earlier]:
        """What was in service before, the last first, each version once; what is barred among them, with the reason."""
        ...

    def unfit(self, version: str) -> Unfit | None:
        """Whether a version can be served at all."""
        ...

    def describe(self, version: str) -> str:
        """What a version is made of, in a few words."""
        ...

    def attempt(self, was: InService, shall: InService) -> InService | None:
        """What an earlier try of the same change came to, though it is not in service any more; None: there is none."""
        ...

    def progress(self, shall: InService) -> Progress:
        """How far it has come."""
        ...


class Component(Protocol):
    """One of a target's components. ``resource`` names it in messages and in what is recorded.

    ``by_hand``: the command that brings a version of one's choice. ``knows_its_past``: its history is a proof, and
    better than what was recorded before somebody else changed it.
    """

    name: str
    resource: str
    by_hand: str
    knows_its_past: bool

    def snapshot(self) -> Snapshot:
        """Look at it.

        Raises:
            ResourceMissingError, AccessDeniedError, RequestRefusedError, ServiceUnavailableError: as ``ControlPlane``.
        """
        ...

    def change(self, was: InService, shall: InService) -> InService:
        """Serve something else; not before it was looked at. Returns what it serves now, with its token.

        Raises:
            ServiceMovedError: it does not serve ``was`` any more.
            ServiceBusyError: it is just being changed.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a DAG. ``triggered_us``: when somebody asked for it, microseconds since 1970."""

    deployment: str
    dag_id: str
    run_id: str
    triggered_us: int = field(compare=False)
