"""A report builds on a laptop from JSON files: no torch, no sentence-transformers, no mteb."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys
import genzoo.leaderboards, genzoo.reports
assert "matplotlib" not in sys.modules, "genzoo.reports imports matplotlib before it draws"
for package in (genzoo.leaderboards, genzoo.reports):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports import build_report, compare
store = ResultStore.load(sys.argv[1])
build_report(store, sys.argv[2], title="T")
compare(store, "SmolLM2-135M-Instruct-LLM2Vec-Gen", "all-MiniLM-L6-v2", sys.argv[2])
heavy = {"torch", "sentence_transformers", "mteb", "transformers", "datasets", "matplotlib.pyplot"}
print(",".join(sorted(heavy & set(sys.modules))))
"""


def test_nothing_heavy_is_imported(full_tree, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(full_tree.root), str(tmp_path / "out")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
