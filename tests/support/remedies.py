"""Remedies carried out as a person would who copies them: lines of the AWS CLI and of curl, without either program.

Options of the AWS CLI are read by botocore's own models of the services, so that a line with a mistake in it fails.
"""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import jmespath
from botocore import xform_name
from botocore.session import Session
from botocore.validate import validate_parameters

from tools.local import http

_GLOBAL = {"region", "query", "output", "endpoint-url"}
_CUSTOM = {("logs", "tail")}
"""Commands of the AWS CLI that are no operation of a service."""
_PROSE = re.compile(r"; (?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)")
_INNER = re.compile(r'"\$\((.*?)\)"')
_session = Session()


def commands(remedy: str) -> list[str]:
    """The command lines of a remedy, in order; what is said in between is left out."""
    parts = [part.strip() for part in _PROSE.split(remedy)]
    lines = [line.strip() for part in parts for line in part.split(" && ")]
    return [line for line in lines if line.split(" ", 1)[0] in ("aws", "curl")]


def check_line(line: str) -> None:
    """Raise where a line is no command that could be given as it stands."""
    words = shlex.split(_INNER.sub("inner", line))
    for inner in _INNER.findall(line):
        check_line(inner)
    if words[0] == "aws":
        _parsed(words)
    else:
        _curl(words)


def run(remedy: str, client_for: Callable[[str], Any]) -> None:
    """Carry out every command of a remedy."""
    lines = commands(remedy)
    assert lines, f"nothing to run: {remedy}"
    for line in lines:
        _run_line(line, client_for)


def _run_line(line: str, client_for: Callable[[str], Any]) -> str:
    line = _INNER.sub(lambda found: shlex.quote(_run_line(found[1], client_for)), line)
    words = shlex.split(line)
    if words[0] == "curl":
        method, url, body = _curl(words)
        http.call(url, method=method, body=body, timeout_s=30)
        return ""
    service, operation, arguments, options = _parsed(words)
    if operation == "wait":
        client_for(service).get_waiter(options["waiter"]).wait(**arguments, WaiterConfig={"Delay": 1})
        return ""
    answer = getattr(client_for(service), xform_name(operation))(**arguments)
    return str(jmespath.search(options["query"], answer)) if "query" in options else ""


def _curl(words: list[str]) -> tuple[str, str, Any]:
    method, url = words[words.index("-X") + 1], words[words.index("-X") + 2]
    return method, url, json.loads(words[words.index("-d") + 1]) if "-d" in words else None


def _parsed(words: list[str]) -> tuple[str, str, dict[str, Any], dict[str, str]]:
    """Service, operation as the API names it, its parameters by the model, and options of the CLI itself."""
    service, command = words[1], words[2]
    if (service, command) in _CUSTOM:
        return service, command, {}, {}
    model = _session.get_service_model(service)
    options: dict[str, str] = {}
    if command == "wait":
        names = {xform_name(one, "-"): one for one in _waiters(service)}
        options["waiter"] = xform_name(names[words[3]])
        given, operation = words[4:], str(_waiters(service)[names[words[3]]]["operation"])
    else:
        operation = {xform_name(one, "-"): one for one in model.operation_names}[command]
        given = words[3:]
    shape = model.operation_model(operation).input_shape
    members = {xform_name(one, "-"): one for one in (shape.members if shape else {})}
    arguments: dict[str, Any] = {}
    for name, values in _options(given):
        if name in _GLOBAL:
            (options[name],) = values
        elif name == "cli-input-json":
            arguments |= json.loads(values[0])
        elif (service, command, name) == ("lambda", "create-function", "zip-file"):
            arguments["Code"] = {"ZipFile": b""}  # an option of the AWS CLI's own
        elif name.startswith("no-") and name[3:] in members:
            arguments[members[name[3:]]] = False
        else:
            arguments[members[name]] = _value(shape.members[members[name]], values)
    validate_parameters(arguments, shape)
    return service, "wait" if command == "wait" else operation, arguments, options


def _waiters(service: str) -> dict[str, Any]:
    loaded: dict[str, Any] = _session.get_component("data_loader").load_service_model(service, "waiters-2")
    return dict(loaded["waiters"])


def _options(words: list[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            found.append((word[2:], []))
        else:
            found[-1][1].append(word)
    return found


def _value(shape: Any, values: list[str]) -> Any:
    if shape.type_name == "boolean":
        assert not values, values
        return True
    if shape.type_name == "list" and not values[0].startswith("["):
        return values
    (text,) = values
    if shape.type_name in ("structure", "list", "map"):
        return json.loads(text)
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name == "blob":
        assert text.startswith("fileb://"), text
        return b""
    return text
