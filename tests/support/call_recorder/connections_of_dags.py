"""A secrets backend for the workers and the triggerer of a test's Airflow: each DAG has AWS connections of its own.

So each can act as a user who has its policy and no other right. What it does not name comes from elsewhere.
"""

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk.definitions.connection import Connection
from recorded_calls import caller  # type: ignore[import-not-found]  # beside this file


class ConnectionsOfDags:
    """``CONNECTIONS_OF_DAGS`` names a file of JSON: DAG id → connection id → connection."""

    def __init__(self, **_: Any) -> None:
        self._file = Path(os.environ["CONNECTIONS_OF_DAGS"])

    def _set_connection_class(self, _class: type[Any]) -> None:
        """Airflow says which class a connection is to be; here there is one."""

    def get_connection(self, conn_id: str, **_: Any) -> Connection | None:
        """The DAG's own; None where it has none."""
        own = json.loads(self._file.read_text()).get(caller()[0], {})
        return Connection.from_json(own[conn_id], conn_id=conn_id) if conn_id in own else None

    def get_variable(self, *_: Any, **__: Any) -> None:
        """None is kept here."""

    def get_config(self, *_: Any, **__: Any) -> None:
        """None is kept here."""
