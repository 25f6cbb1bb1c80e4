"""Which DAG reconciles which target."""

_ENDING = "_reconcile"


def reconcile_dag_id(target: str) -> str:
    """The DAG that reconciles a target."""
    return f"{target}{_ENDING}"


def reconciled_target(dag_id: str) -> str | None:
    """The target that a DAG reconciles, by their names; None for any other DAG."""
    return dag_id.removesuffix(_ENDING) if dag_id.endswith(_ENDING) else None
