"""`make stack`: OpenSearch and MiniStack until Ctrl-C, and what a shell must source to use them."""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.local import airflow, members, ministack, opensearch, paths, ports
from tools.local.connections import ACCESS_KEY, SECRET_KEY, aws_client, connections
from tools.local.lifetime import ended_in_order, only_one
from tools.local.processes import Launch, ServerError, running_together

FOLDER = paths.BUILD / "stack"
ENVIRONMENT_FILE = paths.BUILD / "stack.env"


def environment(aws: Launch, search: Launch, airflow_home: Path) -> dict[str, str]:
    """Everything that `airflow`, boto3, curl and the tests need to find the servers."""
    return {
        **airflow.settings(airflow_home, ports.free_port()),
        **connections(aws, search),
        "OPENSEARCH_URL": search.url,
        "MINISTACK_URL": aws.url,
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_DEFAULT_REGION": ministack.REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }


def as_shell(variables: Mapping[str, str]) -> str:
    """Lines that a POSIX shell can source; PATH is added in front of the shell's own."""
    lines = [f"export {key}={shlex.quote(value)}" for key, value in variables.items() if key != "PATH"]
    return "\n".join([*lines, f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"', ""])


@contextmanager
def written(variables: Mapping[str, str]) -> Iterator[None]:
    """Keep build/stack.env while the servers run."""
    ENVIRONMENT_FILE.write_text(as_shell(variables))
    try:
        yield
    finally:
        ENVIRONMENT_FILE.unlink(missing_ok=True)


def main() -> int:
    """Run the servers until Ctrl-C. OpenSearch's documents and Airflow's runs are kept for the next time."""
    aws = ministack.plan_launch(FOLDER / "ministack", ports.free_port())
    search = opensearch.plan_launch(FOLDER / "opensearch", ports.free_port(opensearch.HTTP_PORTS), ports.free_port())
    variables = environment(aws, search, FOLDER / "airflow")
    with ended_in_order(), only_one(FOLDER), running_together([aws, search]), written(variables):
        migrate = (sys.executable, "-m", "airflow", "db", "migrate")
        subprocess.run(migrate, env=variables, check=True, stdout=subprocess.DEVNULL)
        aws_client("sqs", aws.url).create_queue(QueueName=members.DEAD_LETTER_QUEUE)
        print(f"OpenSearch {search.url}\nMiniStack  {aws.url}\n\nIn another shell: . {ENVIRONMENT_FILE}")
        print("Ctrl-C stops them.", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped.")
    except ServerError as error:
        sys.exit(str(error))
