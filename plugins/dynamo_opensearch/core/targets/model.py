"""A target: one table, one alias, and all that is to be known about the pair. One YAML file each."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings
from dynamo_opensearch.core.targets.environment import Environment

MAX_SCAN_SEGMENTS = 1_000_000
MAX_MAPPED_TASKS = 1_000
"""Airflow's core.max_map_length is 1,024 by default."""

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class UnknownEnvironmentError(PermanentError):
    """The chosen environment stands in no line of the target's file."""

    def __init__(self, target: str, environment: str, known: tuple[str, ...]) -> None:
        super().__init__(target, environment, known)
        self.target, self.environment, self.known = target, environment, known

    def __str__(self) -> str:
        return (
            f"target {self.target!r} has no environment {self.environment!r}, only {', '.join(self.known)}. "
            "Add it to the target's file, or set DYNAMO_OPENSEARCH_ENVIRONMENT to one of them."
        )


class Budgets(BaseModel):
    """What a run may use. Shared statically: each of the concurrent tasks gets its part of the read units."""

    model_config = _FROZEN

    read_units_per_s: float | None = Field(
        None,
        gt=0,
        le=10_000_000,
        description="Read units per second for all tasks of a run; default: not paced.",
    )
    segments: int | None = Field(
        None, ge=1, le=MAX_SCAN_SEGMENTS, description="Scan segments; default: from the table's size."
    )
    concurrent_tasks: int = Field(2, ge=1, le=MAX_MAPPED_TASKS, description="Segment tasks that run at once.")
    scan_limit: int | None = Field(
        None, ge=1, le=1_000_000, description="Items a Scan page reads at most; default: DynamoDB's 1 MB."
    )
    consistent_scan: bool = Field(False, description="Strongly consistent scans, at twice the read units.")
    bulk_bytes: int = Field(
        2_000_000,
        ge=10_000,
        le=90_000_000,
        description="Bytes of one bulk request; a larger document goes alone.",
    )
    requests_in_flight: int = Field(4, ge=1, le=64, description="Bulk requests at once, at most, in each task.")
    max_rejects: int = Field(0, ge=0, description="Documents that OpenSearch may refuse before a run fails.")
    reindex_slices: int | Literal["auto"] = Field(
        "auto", description="Slices of a rebuild's _reindex (source=index): a number of 1 to 64, or auto."
    )
    reindex_requests_per_s: float | None = Field(
        None,
        gt=0,
        description="Documents a second of a rebuild's _reindex; read again while it runs. Default: not throttled.",
    )
    keep_previous_h: float = Field(24, gt=0, le=24 * 365, description="Hours that a replaced index is kept.")
    max_repairs: float = Field(
        0.01, ge=0, le=1, description="Share of the table that a comparison or repair may mend unasked."
    )
    tolerance: int = Field(0, ge=0, description="Differences that a reconciliation accepts.")
    settle_s: float = Field(
        45,
        ge=1,
        le=3_600,
        description="Seconds over which a reconciliation looks again at what differs before it counts: longer than the "
        "indexer is ever behind, as far as its iterator age does not tell.",
    )

    @field_validator("reindex_slices")
    @classmethod
    def _is_a_number_of_slices(cls, slices: int | str) -> int | str:
        if isinstance(slices, int) and not 1 <= slices <= 64:
            raise ValueError(f"must be auto or 1 to 64, got {slices}")
        return slices


class Target(BaseModel):
    """One (table, alias) pair."""

    model_config = _FROZEN

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = Field(
        description="Prefix of the DAG ids: lower-case letters, digits, underscores."
    )
    enabled: bool = Field(True, description="Whether DAGs are made for it.")
    table: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{3,255}$")] = Field(description="The DynamoDB table.")
    key: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = Field(
        min_length=1,
        max_length=2,
        description="Key attributes: the partition key, then the sort key if there is one.",
    )
    alias: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,200}$")] = Field(
        description="The alias that readers use, such as members-live."
    )
    mapping: Annotated[str, Field(pattern=r"^[\w.-]+\.json$")] = Field(description="File below include/mappings.")
    indexer_writes: Literal["versioned", "unversioned"] = Field(
        description="Whether the indexer stamps its writes with external versions (docs: the indexer's contract)."
    )
    required_fields: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="Fields that every document must have; a rebuild checks samples."
    )
    documents: FieldRules = Field(default_factory=FieldRules, description="How documents differ from items.")
    budgets: Budgets = Field(default_factory=Budgets, description="What a run may use.")
    swap_write_block: bool = Field(True, description="Block writes to the old index for the moment of a swap.")
    show_keys: bool = Field(False, description="Reports may show keys as they are; otherwise hashed.")
    airflow: AirflowSettings = Field(default_factory=AirflowSettings, description="What Airflow is told.")
    environments: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], Environment] = Field(
        min_length=1, description="Connections and names, by environment."
    )

    @field_validator("alias")
    @classmethod
    def _is_no_index_name(cls, alias: str) -> str:
        if alias.endswith(("-next", "-previous")):
            raise ValueError("must not end in -next or -previous, which are the names of markers")
        return alias

    @model_validator(mode="after")
    def _check_keys(self) -> "Target":
        problems = []
        if len(set(self.key)) != len(self.key):
            problems.append("key names one attribute twice")
        if self.documents.routing is not None and self.documents.routing not in self.key:
            problems.append(f"documents.routing must be one of the key attributes {list(self.key)}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def index_base(self) -> str:
        """What index names begin with: the alias without ``-live``."""
        return self.alias.removesuffix("-live")

    def in_environment(self, environment: str) -> "Target":
        """The target with that environment's table and alias in place of its own.

        Raises:
            UnknownEnvironmentError: the file does not name it.
        """
        if environment not in self.environments:
            raise UnknownEnvironmentError(self.name, environment, tuple(self.environments))
        chosen = self.environments[environment]
        return self.model_copy(update={"table": chosen.table or self.table, "alias": chosen.alias or self.alias})
