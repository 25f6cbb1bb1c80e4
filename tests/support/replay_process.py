"""A consumer of dead letters as a process of its own, which a test may kill.

`python -m tests.support.replay_process FACTS` (a JSON file); with `"looks": true` it only looks, and holds on.
"""

import sys
import time
from pathlib import Path

import orjson

from dynamo_opensearch.core.stamps import StampRule
from tests.support.dead_letter_rig import DeadLetterRig
from tests.support.rig import Rig


def main(facts_file: str) -> None:
    """Replay, or look, until the end or the kill."""
    facts = orjson.loads(Path(facts_file).read_bytes())
    rig = Rig(direct_dynamodb=facts["dynamodb"], direct_opensearch=facts["opensearch"], base=facts["base"])
    stamps = StampRule(stream_rounding_s=1, margin_s=facts["margin_s"])
    letters = DeadLetterRig(rig, stamps, facts["sqs"], facts["arn"])
    letters.dry = letters.store("dry_receives")  # type: ignore[assignment]
    if not facts["looks"]:
        letters.replay()
        return
    with letters.peek() as peek:
        for _ in peek.groups():
            time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1])
