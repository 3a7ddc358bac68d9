"""Runs one snippet of docs/guides/in-other-tools.md inside a client's environment; `clients.py` starts it.

    python client_snippet.py INPUT.json OUTPUT.json

INPUT.json holds the texts, the blocks of the page and the command of a server that must answer before they run. The file
needs nothing but what the client brings.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

SECONDS_TO_START = 400


@contextmanager
def served(command, url):
    """A server in the background, from its first answer on."""
    if not command:
        yield
        return
    words = shlex.split(command)
    with Path("server.log").open("w") as log:
        server = subprocess.Popen(
            [str(Path(sys.executable).parent / words[0]), *words[1:]], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while not is_answering(url):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not start: {last_line(Path('server.log').read_text())}")
            time.sleep(1)
        yield
    finally:
        server.terminate()
        server.wait()


def is_answering(url):
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - an address of the page itself, on this machine
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def last_line(text):
    return ([line.strip() for line in text.splitlines() if line.strip()] or ["nothing was printed"])[-1]


def main():
    given = json.loads(Path(sys.argv[1]).read_text())
    names = {"questions": given["questions"], "passages": given["passages"], "__name__": "__main__"}
    with served(given["server"], given["url"]):
        for code in given["code"]:
            exec(compile(code, given["client"], "exec"), names)  # noqa: S102 - the page's own code
    vectors = {
        name: [[float(number) for number in vector] for vector in value]
        for name, value in names.items()
        if name.endswith("_vectors")
    }
    found = [[int(place) for place in row] for row in names["found"]] if "found" in names else None
    Path(sys.argv[2]).write_text(json.dumps({"vectors": vectors, "found": found}))


if __name__ == "__main__":
    main()
