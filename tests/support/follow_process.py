"""A follower as a process of its own, which a test may kill: ``python -m tests.support.follow_process FACTS``."""

import sys
import time
from pathlib import Path

import orjson

from dynamo_opensearch.core.stamps import StampRule
from tests.support.follow_rig import FollowRig
from tests.support.rig import Rig


def main(facts_file: str) -> None:
    """Follow until killed."""
    facts = orjson.loads(Path(facts_file).read_bytes())
    rig = Rig(direct_dynamodb=facts["dynamodb"], direct_opensearch=facts["opensearch"], base=facts["base"])
    rig.rules_of = facts["rules_of"]
    followed = FollowRig(rig, StampRule(stream_rounding_s=1, margin_s=facts["margin_s"]), arn=facts["arn"])
    follower = followed.follower(bulk_bytes=1_000_000)
    while True:
        step = follower.step()
        if not step.has_work:
            time.sleep(min(step.wait_s, 0.3))


if __name__ == "__main__":
    main(sys.argv[1])
