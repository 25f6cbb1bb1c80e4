"""Shows mistakes in target files where Airflow's users look: as one import error. Has no DAG of its own."""

from dynamo_opensearch.core.targets.include_folder import include_folder
from dynamo_opensearch.core.targets.loading import TargetFilesError, load_targets

_problems = load_targets(include_folder()).problems
if _problems:
    raise TargetFilesError(_problems)
