"""What a target file tells Airflow about its DAGs."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class Schedule(BaseModel):
    """A cron line in a time zone."""

    model_config = _FROZEN

    cron: Annotated[str, Field(pattern=r"^(\S+\s+){4}\S+$")] = Field(description="Five fields, such as '30 2 * * *'.")
    timezone: str = Field("UTC", description="IANA name, such as Europe/Berlin.")

    @field_validator("cron")
    @classmethod
    def _is_a_time(cls, cron: str) -> str:
        from croniter import croniter

        try:
            croniter(cron).get_next()
        except ValueError as error:
            raise ValueError(f"no time at which it is due: {cron!r}") from error
        return cron

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, timezone: str) -> str:
        import pendulum

        try:
            pendulum.timezone(timezone)
        except Exception as error:
            raise ValueError(f"no such time zone: {timezone!r}") from error
        return timezone


class Reconciliation(Schedule):
    """When a reconciliation runs by itself, how closely it looks and what it does about differences."""

    depth: Literal["approximate", "count", "keys", "content"] = Field("count", description="How both sides compare.")
    repair: Literal["none", "plan", "apply"] = Field(
        "none", description="What is done about differences; plan and apply need depth keys or content."
    )

    @model_validator(mode="after")
    def _repairs_what_has_keys(self) -> "Reconciliation":
        if self.repair != "none" and self.depth not in ("keys", "content"):
            raise ValueError(f"repair {self.repair} needs depth keys or content, got {self.depth}")
        return self


def _every_night() -> Reconciliation:
    """The default; built unchecked, since the indexer, which runs without Airflow, has no croniter to check it."""
    return Reconciliation.model_construct(cron="30 2 * * *")


class Notifier(BaseModel):
    """One of Airflow's notifiers, by class path, with its arguments."""

    model_config = _FROZEN

    notifier: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Z]\w*$")] = Field(
        description="Class path, such as airflow.providers.amazon.aws.notifications.sns.SnsNotifier."
    )
    arguments: dict[str, Any] = Field(default_factory=dict, description="Its keyword arguments.")


class AirflowSettings(BaseModel):
    """Owner, limits, schedules and people."""

    model_config = _FROZEN

    owner: str = Field("airflow", min_length=1, description="Owner shown in the UI.")
    tags: tuple[str, ...] = Field((), description="Further tags of the DAGs.")
    pool: str = Field("default_pool", min_length=1, description="Pool of the segment tasks; must exist.")
    queue: str | None = Field(None, description="Queue of the tasks (CeleryExecutor).")
    retries: int = Field(3, ge=0, le=100, description="Tries after the first one, per task.")
    retry_delay_s: float = Field(30, ge=0, le=86_400, description="Seconds before the first retry; doubles.")
    task_timeout_h: float = Field(12, gt=0, le=24 * 30, description="Hours after which a task is stopped.")
    nightly: Reconciliation = Field(default_factory=_every_night, description="When <target>_reconcile runs.")
    weekly: Reconciliation | None = Field(
        None, description="When it looks more closely (depth content, unless said); in the time zone of nightly."
    )
    notifiers: tuple[Notifier, ...] = Field((), description="Called when a run fails.")
    deadline_h: float | None = Field(None, gt=0, description="Hours after which a run is reported as late.")
    approval_timeout_h: float = Field(
        24, gt=0, le=24 * 30, description="Hours that a rebuild or a repair waits for an approval."
    )
    approvers: tuple[str, ...] = Field((), description="Users who may approve; default: whoever may edit the DAG run.")

    @field_validator("weekly", mode="before")
    @classmethod
    def _is_deep_and_where_nightly_is(cls, weekly: Any, others: ValidationInfo) -> Any:
        if not isinstance(weekly, dict):
            return weekly
        nightly = others.data.get("nightly")  # not there when it has mistakes
        zone = {} if nightly is None else {"timezone": nightly.timezone}
        return {"depth": "content", **zone, **weekly}

    @model_validator(mode="after")
    def _has_one_time_zone(self) -> "AirflowSettings":
        if self.weekly is not None and self.weekly.timezone != self.nightly.timezone:
            raise ValueError(
                f"weekly.timezone must be that of nightly ({self.nightly.timezone}), got {self.weekly.timezone}"
            )
        return self
