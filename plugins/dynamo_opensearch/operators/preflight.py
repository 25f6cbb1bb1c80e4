"""The tasks of a preflight: who acts, one check each, and the gate with its table; and a preflight in one task."""

import logging
from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.preflight.checklist import run_check, run_checks
from dynamo_opensearch.core.preflight.findings import CheckResult
from dynamo_opensearch.core.preflight.identity import acting_as
from dynamo_opensearch.core.preflight.report import check_first_step, check_ready, table_of
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.wiring.acting_as import tell_acting_as
from dynamo_opensearch.wiring.preflight import side_of

RESULT_KEY = "result"


class IdentifyCallerOperator(BaseOperator):
    """Say whom this run acts as, and on what. Reads only.

    :param target: name of the target.
    :param environment: one of its environments; None: this deployment's.
    :param compare_with: another one of them; None: no comparison.
    """

    template_fields: Sequence[str] = ("environment", "compare_with")

    def __init__(
        self, *, target: str, environment: str | None = None, compare_with: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.environment, self.compare_with = target, environment, compare_with

    def execute(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """Return it for each environment that is looked at."""
        told = []
        for environment in (self.environment, self.compare_with) if self.compare_with else (self.environment,):
            with failures_for_airflow():
                identity = acting_as(side_of(self.target, environment))
            self.log.info("target %s %s", self.target, identity)
            told.append(identity.to_json())
        return told


class RunCheckOperator(BaseOperator):
    """One check; its findings are in the error. Skipped where the target file does not ask for it. Reads only.

    :param target: name of the target.
    :param check: name of the check.
    :param environment: one of the target's environments; None: this deployment's.
    :param compare_with: another one, whose fields must be the same; None: no comparison.
    """

    template_fields: Sequence[str] = ("environment", "compare_with")

    def __init__(
        self,
        *,
        target: str,
        check: str,
        environment: str | None = None,
        compare_with: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.check, self.environment, self.compare_with = target, check, environment, compare_with

    def execute(self, context: Context) -> None:
        """Push the result; raise AirflowFailException where there are findings, AirflowSkipException where none can be.

        A service that does not answer is tried again by Airflow.
        """
        with failures_for_airflow():
            other = side_of(self.target, self.compare_with) if self.compare_with else None
            result = run_check(self.check, side_of(self.target, self.environment), other)
        context["ti"].xcom_push(key=RESULT_KEY, value=result.to_json())
        if result.state == "failed":
            raise AirflowFailException(str(result))
        if result.state != "passed":
            raise AirflowSkipException(str(result))
        self.log.info("%s", result)


class JudgePreflightOperator(BaseOperator):
    """Print one table of all checks, and fail where one failed or could not tell.

    :param target: name of the target.
    :param checks: names of the checks, which are those of their tasks.
    :param environment: the environment that was looked at, for the message; None: this deployment's.
    """

    template_fields: Sequence[str] = ("environment",)

    def __init__(self, *, target: str, checks: Sequence[str], environment: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.checks, self.environment = target, tuple(checks), environment

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return the results of all checks."""
        instance = context["ti"]
        states = instance.get_task_states(
            dag_id=instance.dag_id, task_ids=list(self.checks), run_ids=[instance.run_id]
        ).get(instance.run_id, {})
        results = [
            _result(check, states.get(check), instance.xcom_pull(task_ids=check, key=RESULT_KEY))
            for check in self.checks
        ]
        self.log.info("checks of target %s:\n%s", self.target, table_of(results))
        with failures_for_airflow():
            check_ready(self.target, self.environment or environment_name(), results)
        return [one.to_json() for one in results]


class PreflightOperator(BaseOperator):
    """Say whom a run acts as, then make the checks that concern it, before it does anything. Reads only.

    :param target: name of the target.
    :param checks: names of the checks.
    :param environment: one of the target's environments; None: this deployment's.
    """

    template_fields: Sequence[str] = ("environment",)

    def __init__(self, *, target: str, checks: Sequence[str], environment: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.checks, self.environment = target, tuple(checks), environment

    def execute(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """Return the results; raise AirflowFailException with a table of them where a check failed.

        What could not be told, for want of a right or of an answer, is a warning: a run needs nothing for this step
        alone. A service of AWS that does not answer is asked again by Airflow.
        """
        tell_acting_as(self.target, self.log, self.environment)
        with failures_for_airflow():
            results = run_checks(self.checks, side_of(self.target, self.environment))
            check_first_step(self.target, self.environment or environment_name(), results)
        for one in results:
            self.log.log(logging.INFO if one.state == "passed" else logging.WARNING, "%s", one)
        return [one.to_json() for one in results]


def _result(check: str, state: str | None, pushed: dict[str, Any] | None) -> CheckResult:
    """What a check's task left; one that ended without a result could not tell."""
    if pushed is not None and state in ("success", "failed", "skipped"):
        return CheckResult.from_json(pushed)
    return CheckResult(check=check, state="blocked", seen=f"its task is {state or 'not there'}: see its log")
