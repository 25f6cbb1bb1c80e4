"""The page that says what to do, and its sections for alarms."""

RUNBOOK = "docs/runbook.md"

DEAD_LETTERS = f"{RUNBOOK}#dead-letters-are-waiting"
PARKED = f"{RUNBOOK}#dead-letters-are-parked"
BEHIND = f"{RUNBOOK}#the-indexer-is-behind"
SIDES_DIFFER = f"{RUNBOOK}#index-and-table-differ"
FAILED = f"{RUNBOOK}#a-run-has-failed"
LOST_RECORDS = f"{RUNBOOK}#the-follower-has-lost-records"
BAD_FILE = f"{RUNBOOK}#a-target-file-is-bad"
