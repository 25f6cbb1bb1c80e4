"""What a reconciliation costs beside just reading both sides. `python -m tools.bench reconcile`."""

import sys

from tools.local import paths

sys.path.append(str(paths.ROOT / "plugins"))
