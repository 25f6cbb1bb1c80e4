"""Makes tools/local/jars.lock anew from Maven's own resolution: `python -m tools.local.lock_jars`.

Needs what no user needs: for each server, the output of `mvn dependency:list` for a
project that depends on it (for DynamoDB Local, on Jetty's jetty-xml too), and what
`mvn dependency:copy-dependencies` brings for it.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from tools.local import jars

# group:artifact:packaging[:classifier]:version:scope
LINE = re.compile(r"^\s+(?P<g>[^:\s]+):(?P<a>[^:]+):(?P<p>[^:]+):(?:(?P<c>[^:]+):)?(?P<v>[^:]+):(?:compile|runtime)")
NATIVE = {"libsqlite4java-linux-amd64"}
"""The only files beside jars that are needed; the servers run on x86-64 Linux."""
NEEDLESS_CLASSIFIERS = re.compile(r"^(osx|windows|linux-aarch)")


def read_list(server: str, text: str, folder: Path) -> Iterator[jars.Jar]:
    """The jars of one `mvn dependency:list`, with the sha256 of the files in the folder."""
    for match in filter(None, map(LINE.match, text.splitlines())):
        jar = jars.Jar(
            server=server,
            group=match["g"],
            artifact=match["a"],
            version=match["v"],
            classifier=match["c"] or "",
            packaging=match["p"],
            sha256="",
        )
        if is_needed(jar):
            yield jars.Jar(**{**vars(jar), "sha256": jars.sha256_of(folder / jar.file_name)})


def is_needed(jar: jars.Jar) -> bool:
    """Whether the server needs the file on x86-64 Linux."""
    if jar.packaging != "jar":
        return jar.artifact in NATIVE
    return not NEEDLESS_CLASSIFIERS.match(jar.classifier)


def main() -> None:
    """Write the lock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", nargs="+", help="NAME=LIST=FOLDER, for each server")
    lines = ["# server group:artifact:version[:classifier]:packaging sha256; made by tools/local/lock_jars.py"]
    for argument in parser.parse_args().server:
        server, listing, folder = argument.split("=")
        found = read_list(server, Path(listing).read_text(), Path(folder))
        lines += sorted(f"{server} {jar.coordinates} {jar.sha256}" for jar in found)
    jars.LOCK.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
