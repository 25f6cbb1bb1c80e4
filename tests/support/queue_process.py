"""A process that holds messages of a queue until it is killed; it says how many, in one line.

`python -m tests.support.queue_process URL QUEUE MOST VISIBILITY_S`
"""

import sys
import time

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dead_letters.queue.dead_letter_queue import DeadLetterQueue
from tests.support import oracle
from tests.support.fakes import quick_retry


def main(url: str, name: str, most: str, visibility_s: str) -> None:
    queue = DeadLetterQueue(
        oracle.client(url, "sqs"), name, SystemClock(), quick_retry(), visibility_s=int(visibility_s)
    )
    print(len(queue.receive(int(most), 5.0)), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
