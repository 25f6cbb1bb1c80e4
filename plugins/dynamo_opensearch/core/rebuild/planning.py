"""Before anything is made for a rebuild: both sides are looked at, and all that stands in its way is told at once."""

from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.server_version import check_server
from dynamo_opensearch.core.rebuild.looks import Looks, RebuildPlanPorts
from dynamo_opensearch.core.rebuild.next_index import NextIndex, make_next_index
from dynamo_opensearch.core.rebuild.plan import RebuildPlan, RebuildWishes
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.targets.model import Target

__all__ = ["RebuildPlan", "RebuildPlanPorts", "RebuildWishes", "follow_from_us", "make_next_index", "plan_rebuild"]

BATCHING_S = 300.0
"""A record may wait this long for its batch (MaximumBatchingWindowInSeconds), unseen by the iterator age."""


class RebuildRefusedError(PermanentError):
    """Something stands in the way of a rebuild; nothing was made."""

    def __init__(self, target: str, problems: tuple[str, ...]) -> None:
        super().__init__(target, problems)
        self.target, self.problems = target, problems

    def __str__(self) -> str:
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return (
            f"target {self.target!r} cannot be rebuilt, nothing was made and the alias is as it was. "
            f"Problems: {len(self.problems)}\n{lines}\nMend them, then start this DAG again."
        )


def plan_rebuild(
    target: Target,
    mapping: MappingFile,
    builder: DocumentBuilder,
    stamps: StampRule,
    wishes: RebuildWishes,
    run_id: str,
    ports: RebuildPlanPorts,
) -> RebuildPlan:
    """Look at table, alias and indices, and try the mapping. Safe to run again: only a scratch index comes and goes.

    Raises:
        ServerUnfitError: the server is too old for a swap, or no OpenSearch.
        RebuildRefusedError: with everything else that stands in the way.
        ServiceUnavailableError, TableNotReadyError: passing; nothing was decided.
    """
    version = check_server(ports.cluster)
    looks = Looks(target, mapping, builder, wishes.source, ports)
    table = looks.at_table()
    current = looks.at_alias()
    if current is not None:
        looks.at_index(current, stamps)
    if table is None or current is None:
        raise RebuildRefusedError(target.name, tuple(looks.problems))
    following = looks.at_next(table, current, run_id)
    check = looks.at_mapping(table, current)
    if following is None or check is None or looks.problems:
        raise RebuildRefusedError(target.name, tuple(looks.problems))
    began_us = ports.clock.time_us()
    return RebuildPlan(
        target=target.name,
        source=wishes.source,
        table=table.table,
        table_id=table.table_id,
        stream_arn=str(table.stream_arn),
        items_estimated=table.items_estimated,
        size_bytes=table.size_bytes,
        alias=target.alias,
        marker=f"{target.alias}-next",
        from_index=current.index,
        from_uuid=current.uuid,
        to_index=following.index,
        mapping_file=mapping.file,
        mapping_fingerprint=mapping.fingerprint,
        rules_fingerprint=builder.fingerprint(),
        resumes=following.resumes_uuid is not None,
        resumes_uuid=following.resumes_uuid,
        replaces_next=following.replaces,
        replaces_uuid=following.replaces_uuid,
        follow_from_us=_follow_from_us(following, began_us, ports.iterator_age_s()),
        began_us=began_us,
        keep_previous_h=wishes.keep_previous_h or target.budgets.keep_previous_h,
        uses_write_block=target.swap_write_block,
        properties=looks.properties,
        server_version=str(version),
        samples=check.samples,
        mapping_changes=tuple(check.changes.lines()),
        warnings=tuple(looks.warnings),
    )


def follow_from_us(now_us: int, iterator_age_s: float | None) -> int:
    """From where the follower begins: where the indexer stands, and five minutes; 0, the horizon, when unknown."""
    return 0 if iterator_age_s is None else max(0, now_us - round((iterator_age_s + BATCHING_S) * 1e6))


def _follow_from_us(following: NextIndex, now_us: int, iterator_age_s: float | None) -> int:
    """An index that is filled once more holds what an earlier copy saw: changes since then are owed to it as well."""
    from_us = follow_from_us(now_us, iterator_age_s)
    return from_us if following.follow_from_us is None else min(from_us, following.follow_from_us)
