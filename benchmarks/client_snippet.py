"""Runs snippets of docs/guides/in-other-tools.md inside a client's environment; `clients.py` starts it.

    python client_snippet.py INPUT.json < REQUESTS

INPUT.json holds the client's name and the command of a server that must answer before the first snippet runs. A request is a line
of JSON: a new folder, the code, the texts. The code runs in that folder, where it leaves output.json and log.txt; then the folder's
name is printed. The file needs nothing but what the client brings.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
import traceback
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


def run(client, request):
    """Run the code of one request and write what it leaves."""
    names = {"questions": request["questions"], "passages": request["passages"], "__name__": "__main__"}
    for block in request["code"]:
        exec(compile(block, client, "exec", dont_inherit=True), names)  # noqa: S102 - the page's own code
    vectors = {
        name: [[float(number) for number in vector] for vector in value]
        for name, value in names.items()
        if name.endswith("_vectors")
    }
    found = [[int(place) for place in row] for row in names["found"]] if "found" in names else None
    Path("output.json").write_text(json.dumps({"vectors": vectors, "found": found}))


def main():
    given = json.loads(Path(sys.argv[1]).read_text())
    if importlib.util.find_spec("sentence_transformers"):
        importlib.import_module("sentence_transformers")  # once for all requests, which is half of the time
    with served(given["server"], given["url"]):
        for line in sys.stdin:
            request = json.loads(line)
            folder = Path(request["folder"])
            folder.mkdir()
            (folder / "models").symlink_to(Path("models").resolve())
            if os.fork() == 0:
                os.chdir(folder)
                with Path("log.txt").open("w") as log:
                    os.dup2(log.fileno(), 1)
                    os.dup2(log.fileno(), 2)
                    try:
                        run(given["client"], request)
                    except Exception:  # noqa: BLE001 - the log says it, and the server is not this process's to stop
                        traceback.print_exc()
                    finally:
                        sys.stdout.flush()
                        sys.stderr.flush()
                        os._exit(0)
            os.wait()
            print(folder, flush=True)


if __name__ == "__main__":
    main()
