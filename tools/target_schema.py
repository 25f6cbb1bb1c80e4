"""Writes docs/target.schema.json: what a target file may say. Run after a change of the model; a test watches it."""

import json
import sys

from tools.local import paths

sys.path.append(str(paths.ROOT / "plugins"))

from dynamo_opensearch.core.targets.model import Target

PUBLISHED = paths.ROOT / "docs" / "target.schema.json"


def schema_text() -> str:
    """The JSON schema of a target file, as it is published."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Target.model_json_schema()}
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write it; a second run changes nothing."""
    PUBLISHED.parent.mkdir(exist_ok=True)
    PUBLISHED.write_text(schema_text(), encoding="utf-8")
    print(f"wrote {PUBLISHED}")


if __name__ == "__main__":
    main()
