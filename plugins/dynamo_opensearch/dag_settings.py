"""A target's Airflow settings as arguments of its DAGs, for whichever Airflow 3 is there."""

import inspect
from collections.abc import Callable, Iterable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher

from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings, Notifier
from dynamo_opensearch.core.targets.include_folder import environment_name, include_folder
from dynamo_opensearch.core.targets.loading import load_targets
from dynamo_opensearch.core.targets.model import Target

START = pendulum.datetime(2024, 1, 1, tz="UTC")
_BY_HAND = ("manual", "operator_triggered", "asset_triggered")


def enabled_targets() -> list[Target]:
    """The targets that get DAGs. Files with mistakes are left out; dags/target_errors.py tells of them."""
    try:
        loaded = load_targets(include_folder())
    except SyncError:
        return []
    return [target for target in loaded.targets.values() if target.enabled]


def dag_arguments(target: Target, *, runs_by_hand_only: bool) -> dict[str, Any]:
    """Arguments that all DAGs of a target share. One run at a time, and never one for the past."""
    settings = target.airflow
    arguments: dict[str, Any] = {
        "start_date": START,
        "schedule": None,
        "catchup": False,
        "max_active_runs": 1,
        "render_template_as_native_obj": True,
        "tags": ["dynamo-opensearch", target.name, *settings.tags],
        "default_args": task_arguments(settings),
        "on_failure_callback": [make_notifier(one) for one in settings.notifiers] or None,
    }
    if runs_by_hand_only and _takes("allowed_run_types"):
        arguments["allowed_run_types"] = list(_known_run_types(_BY_HAND))
    if settings.deadline_h is not None and (deadline := _deadline(settings)) is not None:
        arguments["deadline"] = deadline
    return arguments


def task_arguments(settings: AirflowSettings) -> dict[str, Any]:
    """Arguments that all tasks of a target share."""
    named = {"queue": settings.queue} if settings.queue else {}
    return {
        "owner": settings.owner,
        "retries": settings.retries,
        "retry_delay": timedelta(seconds=settings.retry_delay_s),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
        "execution_timeout": timedelta(hours=settings.task_timeout_h),
        "pool": settings.pool,
        **named,
    }


def deployment_arguments() -> dict[str, Any]:
    """Arguments of the DAGs that serve all targets of a deployment; they start by themselves."""
    return {
        "start_date": START,
        "catchup": False,
        "max_active_runs": 1,
        "is_paused_upon_creation": False,
        "max_consecutive_failed_dag_runs": 0,  # never paused for failures: a rebuild would wait for ever
        "render_template_as_native_obj": True,
        "tags": ["dynamo-opensearch"],
        "default_args": task_arguments(AirflowSettings(retries=6, retry_delay_s=10)),
    }


def mapping_files() -> list[str]:
    """Names of the files below include/mappings."""
    try:
        return sorted(path.name for path in (include_folder() / "mappings").glob("*.json"))
    except SyncError:
        return []


def approvers(target: Target) -> list[dict[str, str]] | None:
    """The target's approvers as Airflow's human-in-the-loop operators take them; None: whoever may edit the run."""
    return [{"id": name, "name": name} for name in target.airflow.approvers] or None


def index_asset(target: Target) -> Asset:
    """The asset that stands for what readers of the alias see."""
    return Asset(name=target.alias, uri=f"opensearch://{target.alias}")


def reconciled_asset(target: Target) -> Asset:
    """The asset that stands for a reconciliation that found both sides equal."""
    return Asset(name=f"{target.name}_reconciled", uri=f"reconciled://{target.name}")


def dead_letters_asset(target: Target) -> Asset | None:
    """The asset that changes each time that the target's dead-letter queue has filled to ``replay_at``.

    A DAG that is scheduled on it starts then, while it is not paused. None where the target's file does not want it.
    """
    environment = target.environments.get(environment_name())
    settings = environment.dead_letters if environment else None
    if settings is None or settings.replay_at is None:
        return None
    # Brings in the servers' clients, which a DAG file without it does not need.
    from dynamo_opensearch.triggers.dead_letters_watch import DeadLettersFillingTrigger

    trigger = DeadLettersFillingTrigger(target.name, settings.queue, settings.replay_at)
    name = f"{target.name}_dead_letters"
    return Asset(name=name, uri=f"dead-letters://{target.name}", watchers=[AssetWatcher(name=name, trigger=trigger)])


def make_notifier(settings: Notifier) -> Callable[..., Any]:
    """One of Airflow's notifiers, to be called with a context; it may be called once, for it renders itself."""
    module, _, name = settings.notifier.rpartition(".")
    made: Callable[..., Any] = getattr(import_module(module), name)(**settings.arguments)
    return made


def _takes(argument: str) -> bool:
    return argument in inspect.signature(DAG.__init__).parameters


def _known_run_types(names: Iterable[str]) -> Iterable[Any]:
    """The run types that this Airflow has; it calls them by their enumeration."""
    run_type = (
        import_module("airflow.sdk").__dict__.get("DagRunType") or import_module("airflow.utils.types").DagRunType
    )
    return (run_type(name) for name in names if name in {one.value for one in run_type})


def _deadline(settings: AirflowSettings) -> Any:
    """A DeadlineAlert that calls the target's first notifier; None where there is none to call."""
    if settings.deadline_h is None or not settings.notifiers:
        return None
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    first = settings.notifiers[0]
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=settings.deadline_h),
        callback=AsyncCallback(first.notifier, kwargs=first.arguments),
    )
