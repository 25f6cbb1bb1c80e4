"""The project's DAGs, read once."""

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture(scope="session")
def bag() -> DagBag:
    """All DAGs as Airflow reads them, from the sample targets."""
    return DagBag(str(DAGS))
