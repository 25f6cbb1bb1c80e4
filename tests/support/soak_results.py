"""What came of `make soak`: one entry for each test in build/soak.json, with the commit that it ran on."""

import json
import subprocess
from typing import Any

from tools.local import paths


def write_results(name: str, results: dict[str, Any]) -> None:
    """Put the entry in place of an older one."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=paths.ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    file = paths.BUILD / "soak.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | {name: {"commit": commit, **results}}, indent=2) + "\n")
