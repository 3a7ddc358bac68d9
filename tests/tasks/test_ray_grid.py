"""A grid on a Ray cluster of this machine gives what a plain run gives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from results_tree import scores

from genzoo.errors import InputError, ZooError
from genzoo.tasks import evaluate
from genzoo.tasks.ray_grid import evaluate_on_ray
from genzoo.tasks.request import Request

TASKS = ("GenZooMiniSTS", "GenZooMiniRetrieval")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address of a cluster of two processors, in processes of its own."""
    pytest.importorskip("ray")
    ray = [str(Path(sys.executable).with_name("ray"))]
    if not Path(ray[0]).exists():
        ray = [sys.executable, "-m", "ray.scripts.scripts"]
    scratch = tmp_path_factory.mktemp("ray")
    quiet = dict(os.environ, RAY_USAGE_STATS_ENABLED="0", OMP_NUM_THREADS="1")
    sizes = ["--num-cpus=2", "--num-gpus=0", "--object-store-memory=100000000", "--include-dashboard=false"]
    start = [*ray, "start", "--head", "--port=0", *sizes, f"--temp-dir={scratch}"]
    done = subprocess.run(start, env=quiet, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"ray start: {done.stderr[-2000:]}")
    yield "auto"
    subprocess.run([*ray, "stop", "--force"], env=quiet, capture_output=True, check=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, save_encoder):
    """Two tiny models on disk, the second of which gives NaN."""
    root = tmp_path_factory.mktemp("models")
    save_encoder(root / "good")
    save_encoder(root / "broken", is_broken=True)
    return root


def test_equals_a_plain_run(cluster, folders, tmp_path):
    request = Request((str(folders / "good"), "random"), None, TASKS)
    seen = []
    evaluate_on_ray(request, tmp_path / "ray", address=cluster, on_pair=lambda done, total: seen.append((done, total)))
    grid = request.resolve()
    evaluate(grid.metas, grid.tasks, tmp_path / "plain", facts=grid.facts)
    assert scores(tmp_path / "ray") == scores(tmp_path / "plain")
    assert len(scores(tmp_path / "ray")) == 4
    assert seen[0] == (0, 4)
    assert seen[-1] == (4, 4)


def test_a_pair_that_fails_stops_no_other(cluster, folders, tmp_path):
    request = Request((str(folders / "broken"), str(folders / "good")), None, TASKS[:1])
    with pytest.raises(ZooError, match=r"1 of 2 pairs failed.*NaN"):
        evaluate_on_ray(request, tmp_path, address=cluster)
    assert len(scores(tmp_path)) == 1


def test_finished_pairs_are_kept(cluster, folders, tmp_path):
    request = Request((str(folders / "good"),), None, TASKS[:1])
    evaluate_on_ray(request, tmp_path, address=cluster)
    (path,) = (tmp_path / "results").rglob("GenZooMiniSTS.json")
    before = path.stat().st_mtime_ns
    evaluate_on_ray(request, tmp_path, address=cluster)
    assert path.stat().st_mtime_ns == before


def test_without_a_cluster_it_says_how_to_start_one(tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match="ray start --head"):
        evaluate_on_ray(Request(("random",), None, TASKS), tmp_path, address="127.0.0.1:1")


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"genzoo\[ray\]"):
        evaluate_on_ray(Request(("random",), None, TASKS), tmp_path)
