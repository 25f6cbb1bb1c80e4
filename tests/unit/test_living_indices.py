"""What is to be written to now: the alias's index, the one being built, the one being kept."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.look.feeds import Feed, TargetIndex, check_single, living_feeds, target_indices
from dynamo_opensearch.core.look.living import LivingIndices, NoLivingIndexError
from dynamo_opensearch.core.look.looker import LiveFeed
from dynamo_opensearch.core.opensearch.alias import AliasAmbiguousError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from tests.support.fakes import quick_retry
from tests.support.followed import ALIAS, NEXT, PREVIOUS, Followed

ALL = (ALIAS, NEXT, PREVIOUS)


def index(name: str, *aliases: str) -> TargetIndex:
    return TargetIndex(name, f"uuid of {name}", frozenset(aliases))


def told(feeds: list[Feed]) -> dict[str, tuple[str, bool]]:
    return {feed.index: (feed.write_alias, feed.is_fed_by_indexer) for feed in feeds}


def test_every_index_is_written_to_through_its_own_alias() -> None:
    indices = [index("v1", PREVIOUS), index("v2", ALIAS), index("v3", NEXT)]
    assert told(living_feeds(indices, ALIAS)) == {"v1": (PREVIOUS, False), "v2": (ALIAS, True), "v3": (NEXT, False)}


def test_an_index_with_the_alias_and_a_marker_is_written_to_through_the_marker_and_fed_by_the_indexer() -> None:
    """In a swap whose clean-up is still to come."""
    assert told(living_feeds([index("v1", ALIAS, PREVIOUS)], ALIAS)) == {"v1": (PREVIOUS, True)}


@pytest.mark.parametrize("alias", ALL)
def test_an_alias_over_two_indices_is_refused(alias: str) -> None:
    with pytest.raises(AliasAmbiguousError) as raised:
        living_feeds([index("v1", alias), index("v2", alias)], ALIAS)
    assert (raised.value.alias, raised.value.indices) == (alias, ("v1", "v2"))


def test_an_alias_that_is_not_written_through_may_lead_to_two() -> None:
    indices = [index("v1", ALIAS, PREVIOUS), index("v2", PREVIOUS, NEXT)]
    assert told(living_feeds([indices[0]], ALIAS)) == {"v1": (PREVIOUS, True)}
    with pytest.raises(AliasAmbiguousError):
        living_feeds(indices, ALIAS)
    check_single(indices, ALIAS)


@given(st.dictionaries(st.sampled_from(ALL), st.sampled_from("abc")))
def test_each_index_is_fed_once_through_an_alias_that_leads_to_it_alone(leads_to: dict[str, str]) -> None:
    names = sorted(set(leads_to.values()))
    aliases = {name: [alias for alias, index in leads_to.items() if index == name] for name in names}
    feeds = living_feeds([index(name, *found) for name, found in aliases.items()], ALIAS)
    assert [feed.index for feed in feeds] == names
    for feed in feeds:
        assert leads_to[feed.write_alias] == feed.index
        assert feed.is_fed_by_indexer == (leads_to.get(ALIAS) == feed.index)


# As the aliases move


class Living:
    """LivingIndices of a target in memory; ``builder_for`` may be exchanged."""

    def __init__(self) -> None:
        self.target = Followed()
        self.builder_for: Callable[[str], object] = self.target.builder_for
        self.patient = PatientCluster(self.target.cluster, self.target.clock, quick_retry())
        self.indices = LivingIndices(
            self.patient,
            ALIAS,
            lambda index: self.builder_for(index),  # type: ignore[arg-type, return-value]
            self.target.sender_for,
            self.target.clock,
        )

    def create(self, name: str, *aliases: str) -> None:
        self.target.cluster.create(name, *aliases)

    def current(self) -> dict[str, LiveFeed]:
        return {live.feed.index: live for live in self.indices.current()}


@pytest.fixture
def living() -> Living:
    made = Living()
    made.create("members-v1", ALIAS)
    return made


def test_what_the_cluster_says_is_asked_for_every_two_seconds(living: Living) -> None:
    assert list(living.current()) == ["members-v1"]
    living.create("members-v2", NEXT)
    living.target.clock.pass_s(1.9)
    assert list(living.current()) == ["members-v1"]
    living.target.clock.pass_s(0.1)
    assert list(living.current()) == ["members-v1", "members-v2"]


def test_it_is_asked_for_at_once_when_somebody_noticed_a_move(living: Living) -> None:
    living.current()
    living.create("members-v2", NEXT)
    living.indices.note_moved()
    assert list(living.current()) == ["members-v1", "members-v2"]


def test_an_index_keeps_its_sender_for_as_long_as_it_is_written_to_in_the_same_way(living: Living) -> None:
    living.create("members-v2", NEXT)
    before = living.current()
    living.target.cluster.aliases = {"members-v1": {PREVIOUS}, "members-v2": {ALIAS}}
    living.indices.note_moved()
    moved = living.current()
    assert all(moved[name].sender is not before[name].sender for name in before)
    living.indices.note_moved()
    assert living.current() == moved
    assert living.target.senders == [(ALIAS, True), (NEXT, False), (PREVIOUS, False), (ALIAS, True)]


def test_an_index_made_anew_under_the_same_name_gets_rules_of_its_own(living: Living) -> None:
    before = living.current()["members-v1"]
    living.target.cluster.delete("members-v1")
    living.create("members-v1", ALIAS)
    living.target.rules = {"members-v1": {"renames": {"value": "text"}}}
    living.indices.note_moved()
    assert living.current()["members-v1"].builder is not before.builder


def test_an_index_that_is_deleted_while_it_is_asked_for_is_left_out_and_asked_for_again(living: Living) -> None:
    living.create("members-v0", PREVIOUS)

    def gone(name: str) -> object:
        if name == "members-v0" and name in living.target.cluster.indices:
            living.target.cluster.delete(name)
        return living.target.builder_for(name)

    living.builder_for = gone
    assert list(living.current()) == ["members-v1"]
    living.create("members-v2", NEXT)
    assert list(living.current()) == ["members-v1", "members-v2"], "there is no wait of two seconds"


def test_another_failure_to_read_the_rules_is_raised(living: Living) -> None:
    def refused(name: str) -> object:
        raise OpenSearchRequestError(400, "GET", "illegal_argument_exception", "no")

    living.builder_for = refused
    with pytest.raises(OpenSearchRequestError):
        living.current()


def test_without_any_index_it_is_said_what_to_do(living: Living) -> None:
    living.target.cluster.delete("members-v1")
    with pytest.raises(NoLivingIndexError, match="Fill an index by the target's backfill"):
        living.current()


def test_indices_with_other_aliases_are_none_of_the_target(living: Living) -> None:
    living.create("others", "others-live")
    assert [one.index for one in target_indices(living.patient, ALIAS)] == ["members-v1"]
