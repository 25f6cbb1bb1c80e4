"""Python's cyclic garbage collector, kept out of loops over pages."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without the automatic collector, which would walk every page's dicts again and again; pages hold no cycles.

    What was there before is not looked at by ``gc.collect`` either, which the caller calls now and then for what
    libraries leave behind. For the whole process.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
