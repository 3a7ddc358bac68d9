"""As a user would: publish by the command line, load in a fresh process without genzoo, carry into a network without a Hub."""

import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest_builders import SENTENCES, build_checkpoint
from loopback_hub import Hub, serve

from genzoo.backbones.entries import fetch_backbone
from genzoo.errors import BackboneError
from genzoo.models.exported import export
from genzoo.models.loading import find_checkpoint

STS, STS_COMMIT = "mteb/stsbenchmark-sts", "b0fddb56ed78048fa8b90373c8a3cfc37b684831"
LOAD = """
import json, sys
sys.modules["genzoo"] = None
repo, commit, local, results = sys.argv[1:]
import mteb
from mteb.cache import ResultCache
from sentence_transformers import SentenceTransformer
texts = ["where do polar bears live?", "", "café 東京 🙂"]
here = SentenceTransformer(local, device="cpu")
there = SentenceTransformer(repo, revision=commit, device="cpu")
gap = max(abs(here.encode_query(texts) - there.encode_query(texts)).max(), abs(here.encode(texts) - there.encode(texts)).max())
task = mteb.get_task("STSBenchmark")
scores = []
for place, model in enumerate((mteb.get_model(repo, revision=commit, device="cpu"), here)):
    done = mteb.evaluate(model, task, cache=ResultCache(f"{results}/{place}"), encode_kwargs={"batch_size": 4})
    scores.append(done.task_results[0].get_score())
print(json.dumps({"gap": float(gap), "scores": scores}))
"""
OFFLINE = """
import json, socket, sys
def refuse(*args, **options):
    raise AssertionError("a connection was tried")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
bundle, repo, commit = sys.argv[1:]
sys.argv = ["genzoo", "unbundle", bundle]
from genzoo.cli import main
main_exit = 0
try:
    main()
except SystemExit as stop:
    main_exit = stop.code or 0
assert main_exit == 0, main_exit
import mteb
from datasets import load_dataset
from sentence_transformers import SentenceTransformer
from mteb.cache import ResultCache
pinned = SentenceTransformer(repo, revision=commit, device="cpu").encode(["hello"]).tolist()
free = SentenceTransformer(repo, device="cpu")
rows = len(load_dataset("mteb/stsbenchmark-sts", revision="b0fddb56ed78048fa8b90373c8a3cfc37b684831", split="test"))
done = mteb.evaluate(free, mteb.get_task("STSBenchmark"), cache=ResultCache("offline-results"), encode_kwargs={"batch_size": 4})
print(json.dumps({"same": free.encode(["hello"]).tolist() == pinned, "rows": rows, "score": done.task_results[0].get_score()}))
"""


@pytest.fixture(scope="module")
def running(token):
    with serve(Hub({token: ("alice", ["acme"], "write")}), has_xet=True) as server:
        yield server


@pytest.fixture(scope="module")
def environment(running, token, tmp_path_factory):
    """What every process of the user gets: this Hub, an empty home, and as much talk as the libraries can give."""
    home = tmp_path_factory.mktemp("home")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "MTEB_"))}
    return kept | {
        "HF_ENDPOINT": running.endpoint, "HF_HOME": str(home / "hf"), "HF_TOKEN": token, "HF_DEBUG": "1",
        "HF_HUB_VERBOSITY": "debug", "RUST_LOG": "debug", "HF_XET_XORB_COMPRESSION_POLICY": "none",
        "HF_HUB_DISABLE_TELEMETRY": "1", "MTEB_CACHE": str(home / "mteb"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def start(arguments, environment, folder):
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


def serve_sts(hub, folder):
    folder.mkdir()
    rows = [
        {"sentence1": a, "sentence2": b, "score": float(i)}
        for i, (a, b) in enumerate(itertools.pairwise(SENTENCES[:6]))
    ]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    hub.import_folder("dataset", STS, folder, commit=STS_COMMIT)


@pytest.mark.slow
def test_publish_the_zoos_model_and_load_it_elsewhere(running, environment, token, tmp_path):
    try:
        fetch_backbone("smollm2-135m")
    except BackboneError as error:
        pytest.skip(f"the backbone cannot be fetched here: {error}")
    serve_sts(running.hub, tmp_path / "sts")
    repo = "acme/SmolLM2-135M-Instruct-LLM2Vec-Gen"
    command = ["-m", "genzoo", "publish", "smollm2-135m", "--repo", repo, "--merge", "--tag", "v1"]
    done = start(command, environment, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    commit = re.search(r"commit ([0-9a-f]{40})", done.stdout)[1]
    assert running.hub.repos["model", repo].tags == {"v1": commit}
    assert any("/xet/" in request for request in running.hub.requests)
    assert_no_token(token, done, tmp_path, environment)

    checkpoint = find_checkpoint("smollm2-135m")
    local = export(checkpoint, fetch_backbone("smollm2-135m"), tmp_path / "local", "merged", name="local")
    fresh = environment | {"HF_HOME": str(tmp_path / "fresh")}
    done = start(["-c", LOAD, repo, commit, str(local), str(tmp_path / "scores")], fresh, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["gap"] <= 1e-6
    assert found["scores"][0] == found["scores"][1]
    assert_no_token(token, done, tmp_path, environment)

    # What came over xet lies in blobs that all repositories of the cache share.
    (cached,) = (tmp_path / "fresh" / "hub").glob(f"models--*/snapshots/{commit}/model.safetensors")
    assert (tmp_path / "fresh" / "hub" / "blobs") in cached.resolve().parents
    done = start(["-m", "genzoo", "verify", f"{repo}@{commit}"], fresh, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


def assert_no_token(token, done, *folders):
    """Not in what was printed, not in a file, whole or in halves."""
    for part in (token, token[:22], token[22:]):
        assert part not in done.stdout
        assert part not in done.stderr
        for folder in (folders[0], folders[1]["HF_HOME"]):
            for root, _, names in os.walk(folder):
                for name in names:
                    path = os.path.join(root, name)  # noqa: PTH118
                    if os.path.getsize(path) < 50_000_000:  # noqa: PTH202
                        with open(path, "rb") as file:  # noqa: PTH123
                            assert part.encode() not in file.read(), path


def test_a_failed_publish_prints_no_token(running, environment, token, qwen3, tmp_path):
    """A refused commit, at the highest verbosity: one clear line, no traceback, no header."""
    from loopback_hub import Fault

    folder = build_checkpoint(qwen3).save(tmp_path / "c")
    running.hub.faults = [Fault("POST .*/commit/", 403, times=9)]
    command = ["-m", "genzoo", "publish", str(folder), "--repo", "alice/tiny", "--merge", "--licence", "mit"]
    command += ["--training-data", "ours", "--base-model", "alice/base"]
    done = start(command, environment, tmp_path)
    running.hub.faults = []
    assert done.returncode == 1
    assert "may not write to alice/tiny" in " ".join(done.stderr.split())
    assert "alice/tiny is as it was" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert_no_token(token, done, tmp_path, environment)
    assert list(running.hub.contents("model", "alice/tiny")) == [".gitattributes"]


def test_bundle_works_in_a_network_without_a_hub(running, environment, qwen3, tmp_path):
    if ("dataset", STS) not in running.hub.repos:
        serve_sts(running.hub, tmp_path / "sts")
    model = export(build_checkpoint(qwen3), qwen3, tmp_path / "tiny", "merged", name="tiny")
    commit = running.hub.import_folder("model", "acme/tiny", model)
    carry_away("acme/tiny", commit, environment, tmp_path)


def test_a_bundled_adapter_brings_its_frozen_llm(running, environment, qwen3, tmp_path):
    if ("dataset", STS) not in running.hub.repos:
        serve_sts(running.hub, tmp_path / "sts")
    base = running.hub.import_folder("model", "acme/tiny-base", qwen3)
    checkpoint = replace(build_checkpoint(qwen3), backbone=f"acme/tiny-base@{base}").save(tmp_path / "c")
    command = ["-m", "genzoo", "publish", str(checkpoint), "--repo", "alice/tiny-adapter", "--licence", "mit"]
    done = start([*command, "--training-data", "ours"], environment, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    commit = re.search(r"commit ([0-9a-f]{40})", done.stdout)[1]
    assert "adapter_model.safetensors" in running.hub.contents("model", "alice/tiny-adapter")
    bundle = carry_away("alice/tiny-adapter", commit, environment, tmp_path)
    assert (bundle / "hub" / "models--acme--tiny-base" / "snapshots" / base / "model.safetensors").is_file()


def carry_away(repo, commit, environment, folder):
    """Bundle a model and a task, unpack them in an empty home without a network, and use both there."""
    done = start(
        ["-m", "genzoo", "bundle", f"{repo}@{commit}", "-t", "STSBenchmark", "-o", "bundle"], environment, folder
    )
    assert done.returncode == 0, done.stderr[-3000:]
    bundle = folder / "bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["models"] == [{"hub_id": repo, "revision": commit}]
    assert manifest["datasets"] == [{"path": STS, "revision": STS_COMMIT}]
    assert not [path for path in bundle.rglob("*") if path.is_symlink()]
    away = {key: value for key, value in environment.items() if key not in ("HF_ENDPOINT", "HF_TOKEN")}
    away |= {"HF_HOME": str(folder / "away"), "HF_HUB_OFFLINE": "1", "MTEB_CACHE": str(folder / "away-mteb")}
    done = start(["-c", OFFLINE, str(bundle), repo, commit], away, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["same"]
    assert found["rows"] == 5
    assert -1 <= found["score"] <= 1
    return bundle
