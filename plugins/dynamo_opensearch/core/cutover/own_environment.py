"""A deployment acts on its own environment only."""

from collections.abc import Sequence

from dynamo_opensearch.core.errors import PermanentError


class OtherEnvironmentError(PermanentError):
    """A cutover was asked for in another environment than the one that this deployment is."""

    def __init__(self, dag_id: str, wanted: str, own: str, known: Sequence[str]) -> None:
        super().__init__(dag_id, wanted, own, tuple(known))
        self.dag_id, self.wanted, self.own, self.known = dag_id, wanted, own, tuple(known)

    def __str__(self) -> str:
        known = "" if self.wanted in self.known else f" The target file has {', '.join(self.known)}."
        return (
            f"environment {self.wanted!r} was asked for, and this Airflow is the deployment for {self.own!r}: each "
            f"deployment changes its own environment only. Nothing was changed. Start this DAG, {self.dag_id!r}, in "
            f"the Airflow whose DYNAMO_OPENSEARCH_ENVIRONMENT is {self.wanted!r}.{known}"
        )


def check_own_environment(dag_id: str, wanted: str, own: str, known: Sequence[str]) -> None:
    """Raises OtherEnvironmentError unless ``wanted`` is ``own``; ``known``: those of the target file."""
    if wanted != own:
        raise OtherEnvironmentError(dag_id, wanted, own, known)
