"""What was put in by hand, past everything, is found, named in the right kind, mended, and nothing else is touched."""

from pathlib import Path

import pytest

from tests.integration.conftest import MakeRig
from tests.support.by_hand import ByHand, Sizes
from tests.support.harm import SHAPES

FEW = Sizes(items=3_000, deleted=20, orphans=12, nested=8, digits=5)


@pytest.mark.parametrize("name", SHAPES)
def test_differences_by_hand_are_found_named_and_mended(make_rig: MakeRig, tmp_path: Path, name: str) -> None:
    """The same at full size: `make soak`."""
    by_hand = ByHand.of(make_rig, SHAPES[name], FEW, tmp_path)

    by_hand.judge("keys")
    assert len(by_hand.differences()) == FEW.nested + FEW.digits
    by_hand.spoil()
    by_hand.judge("content")
    assert by_hand.differences() == []
