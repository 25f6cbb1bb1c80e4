"""Remedies as lines for a shell: of the AWS CLI, of curl, of Airflow's CLI. Everything is quoted where it must be."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def aws_line(service: str, operation: str, **arguments: Any) -> str:
    """``aws <service> <operation> --name value``; arguments are named as boto3 names the operation's, in snake case.

    True and False become ``--name`` and ``--no-name``, lists of texts become several values, all else is JSON; None is
    left out.
    """
    words = ["aws", service, *operation.split()]
    for name, value in arguments.items():
        if value is not None:
            words += _option(name.replace("_", "-"), value)
    return shlex.join(words)


def curl_line(
    method: str, url: str, body: Mapping[str, Any] | None = None, signed_for: tuple[str, str] | None = None
) -> str:
    """``curl`` with a JSON body; ``signed_for``: region and service, where requests are signed.

    The credentials are those of the shell's environment: none is written into the line.
    """
    words = ["curl", "-X", method, shlex.quote(url)]
    if signed_for is not None:
        region, service = signed_for
        words += ["--aws-sigv4", f"aws:amz:{region}:{service}", "--user", '"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"']
        words += ["-H", '"x-amz-security-token: $AWS_SESSION_TOKEN"']
    if body is not None:
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(compact(body))]
    return " ".join(words)


def trigger_line(dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
    """``airflow dags trigger``."""
    with_conf = ["--conf", compact(conf)] if conf else []
    return shlex.join(["airflow", "dags", "trigger", dag_id, *with_conf])


def compact(value: Any) -> str:
    """JSON as short as it gets."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, str | int | float):
        return [f"--{name}", str(value)]
    if isinstance(value, Sequence) and all(isinstance(one, str) for one in value):
        return [f"--{name}", *value]
    return [f"--{name}", compact(value)]
