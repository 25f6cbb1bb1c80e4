"""What a replay of dead letters costs, from a full queue to an empty one. `python -m tools.bench replay`."""

import sys

from tools.local import paths

sys.path.append(str(paths.ROOT / "plugins"))
