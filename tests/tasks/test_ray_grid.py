"""A grid on a Ray cluster of this machine gives what a plain run gives."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from drawing_tasks import DrawnRequest
from results_tree import scores

from genzoo.errors import InputError, ZooError
from genzoo.tasks import evaluate
from genzoo.tasks.model_session import EncodeSettings
from genzoo.tasks.ray_grid import _run_pair, evaluate_on_ray
from genzoo.tasks.request import Request

TASKS = ("GenZooMiniSTS", "GenZooMiniRetrieval")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address of a cluster of two processors, in processes of its own."""
    pytest.importorskip("ray")
    ray = [str(Path(sys.executable).with_name("ray"))]
    if not Path(ray[0]).exists():
        ray = [sys.executable, "-m", "ray.scripts.scripts"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scratch = tmp_path_factory.mktemp("ray")
    quiet = dict(os.environ, RAY_USAGE_STATS_ENABLED="0", OMP_NUM_THREADS="1", PYTHONUNBUFFERED="1")
    quiet["PYTHONPATH"] = str(Path(__file__).parents[1])  # where the workers find `drawing_tasks`
    sizes = ["--num-cpus=2", "--num-gpus=0", "--object-store-memory=100000000", "--include-dashboard=false"]
    start = [*ray, "start", "--head", "--block", f"--port={port}", *sizes, f"--temp-dir={scratch}"]
    # Neither "auto" nor `ray stop`, for other clusters of this machine are none of our business.
    with subprocess.Popen(start, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as head:
        said = []
        for line in head.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                break
        else:
            pytest.fail(f"ray start: {''.join(said)[-2000:]}")
        yield f"127.0.0.1:{port}"
        head.terminate()  # and all that it started


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


def test_own_data_are_found_from_another_working_folder(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("query,passage,grade\nwhere is Rome,in Italy,1\nwhere is Oslo,in Norway,1\n")
    request = Request(("random",), None, ("GenZooOne=mine.csv", "GenZooTwo=./mine.csv"))
    evaluate_on_ray(request, tmp_path / "ray", address=cluster)
    grid = request.resolve()
    evaluate(grid.metas, grid.tasks, tmp_path / "plain", facts=grid.facts)
    assert scores(tmp_path / "ray") == scores(tmp_path / "plain")
    assert len(scores(tmp_path / "ray")) == 2


def test_drawn_documents_are_the_same_for_every_pair(cluster, folders, tmp_path):
    """Two copies of a model on clustering and multilabel tasks, which a worker hands out to all of its pairs."""
    copies = [str(folders / "good"), str(shutil.copytree(folders / "good", tmp_path / "copy"))]
    request = DrawnRequest(tuple(copies), None, ("GenZooMiniSTS",))
    evaluate_on_ray(request, tmp_path / "ray", address=cluster)
    alone = DrawnRequest(tuple(copies[:1]), None, ("GenZooMiniSTS",)).resolve()
    evaluate(alone.metas, alone.tasks, tmp_path / "alone", facts=alone.facts)
    for task in alone.tasks:
        (one,) = (tmp_path / "alone").glob(f"results/*/*/{task.metadata.name}.json")
        found = [json.loads(path.read_text())["scores"] for path in (tmp_path / "ray").glob(f"results/*/*/{one.name}")]
        assert found == [json.loads(one.read_text())["scores"]] * 2


def test_a_worker_that_takes_several_pairs_scores_equal_models_alike(folders, tmp_path):
    """What a worker runs, without a cluster: pair after pair in one process, in any order."""
    copies = (str(folders / "good"), str(shutil.copytree(folders / "good", tmp_path / "copy")))
    request = DrawnRequest(copies, None, ("GenZooMiniSTS",))
    for number in (3, 1, 4, 2):
        assert _run_pair(request, tmp_path, EncodeSettings(), False, number, 4) == (None, [])
    for task in request.resolve().tasks:
        one, two = (
            json.loads(path.read_text())["scores"] for path in tmp_path.glob(f"results/*/*/{task.metadata.name}.json")
        )
        assert one == two


def test_notes_of_the_workers_reach_the_caller(cluster, folders, tmp_path):
    request = Request((str(folders / "good"),), None, TASKS[:1])
    evaluate_on_ray(request, tmp_path, address=cluster)
    (record,) = (tmp_path / "environment").glob("*/*/GenZooMiniSTS.json")
    record.unlink()
    notes = []
    evaluate_on_ray(request, tmp_path, address=cluster, on_note=notes.append)
    (note,) = notes
    assert "kept, but measured otherwise" in note


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
