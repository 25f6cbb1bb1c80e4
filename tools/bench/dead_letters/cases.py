"""What is measured of a replay."""

from dataclasses import dataclass

from tools.bench.runs import Contender

MINISTACK, ELASTICMQ, DYNAMODB_LOCAL = "MiniStack", "ElasticMQ", "DynamoDB Local"


@dataclass(frozen=True, kw_only=True)
class Case:
    """``each``: records of one message. ``is_new``: changes so young that each needs a second look."""

    queue: str
    each: int
    table: str = MINISTACK
    is_new: bool = False
    consumers: int = 1

    @property
    def name(self) -> str:
        """Short."""
        return f"{'new' if self.is_new else 'old'} {self.each} {self.queue} {self.table} {self.consumers}"

    @property
    def contender(self) -> Contender:
        """Its processes."""
        title = f"{self.each} a message, {self.queue}, table on {self.table}"
        title += ", two looks" * self.is_new + f", {self.consumers} consumers" * (self.consumers > 1)
        module = "tools.bench.dead_letters.consumer"
        return Contender(name=self.name, title=title, module=module, processes=self.consumers)

    @property
    def has_bare_queue(self) -> bool:
        """Whether its queue is measured by itself, too: once for each kind of queue and message."""
        return self.table == MINISTACK and not self.is_new

    def records(self, items: int) -> int:
        """How many records there are to replay: of a large table half will do, where each is a message."""
        return items // 2 if self.each == 1 and self.table == MINISTACK else items


CASES = (
    Case(queue=MINISTACK, each=1),
    Case(queue=MINISTACK, each=1, consumers=2),
    Case(queue=MINISTACK, each=100),
    Case(queue=ELASTICMQ, each=1),
    Case(queue=ELASTICMQ, each=1, consumers=2),
    Case(queue=ELASTICMQ, each=100),
    Case(queue=ELASTICMQ, each=100, is_new=True),
    Case(queue=ELASTICMQ, each=1, table=DYNAMODB_LOCAL),
    Case(queue=ELASTICMQ, each=100, table=DYNAMODB_LOCAL),
)


def bare_reads(table: str) -> Contender:
    """All keys of a table."""
    title = f"bare BatchGetItem, {table}"
    return Contender(name=f"reads {table}", title=title, module="tools.bench.rebuild.bare_keyed_reads")


def bare_queue(case: Case) -> Contender:
    """The case's messages received and deleted."""
    title = f"bare receive and delete, {case.queue}, {case.each} a message"
    return Contender(name=f"queue {case.queue} {case.each}", title=title, module="tools.bench.dead_letters.bare_queue")
