"""What a rebuild costs: both copies, the follower, and how long writers wait. `python -m tools.bench rebuild`."""

import sys

from tools.local import paths

sys.path.append(str(paths.ROOT / "plugins"))
