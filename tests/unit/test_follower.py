"""The follower on a table, a stream and a cluster in memory, with a clock that the test moves."""

from tests.support.followed import NEXT, Followed


def test_every_change_reaches_the_index_behind_a_marker() -> None:
    target = Followed()
    target.cluster.create("members-v1", "members-live")
    target.cluster.create("members-v2", NEXT)
    for key in "abc":
        target.put(key)
    target.remove("b")
    follower = target.follower()
    target.run(follower, 20)
    assert target.cluster.documents("members-v2") == target.expected()
    assert target.cluster.documents("members-v1") == {}
    assert (
        target.saved().position.shards["s1"].after
        == target.stream.shards["s1"].records[-1]["dynamodb"]["SequenceNumber"]
    )
