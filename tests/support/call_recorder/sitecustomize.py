"""Python runs this at its start where this folder is on PYTHONPATH, as in the Airflow of the system tests."""

import os

if os.environ.get("RECORDED_CALLS"):
    from recorded_calls import record_from_now_on  # type: ignore[import-not-found]  # beside this file

    record_from_now_on(os.environ["RECORDED_CALLS"])
