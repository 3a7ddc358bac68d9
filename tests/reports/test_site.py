"""The static site: every page is there, whole, and every link inside of it leads somewhere."""

import re

import pytest

from genzoo.errors import InputError
from genzoo.leaderboards import ResultStore
from genzoo.reports import build_site


@pytest.fixture(scope="module")
def site(builder, tmp_path_factory):
    """Four models and two that try to break out, on two benchmarks."""
    folder = tmp_path_factory.mktemp("site")
    tree = builder.full_tree(folder / "results-folder")
    tree.benchmark("Nobody ran this", ["NeverRun"])
    tree.score(("evil/<script>alert(1)</script>", "r..1"), "SciFact", 0.5)
    tree.score(("evil/" + "x" * 200, "r1"), "SciFact", 0.4)
    tree.write("reported/paper.csv", "model,task,main_score\nacme/paper,SciFact,0.9\n")
    paths = build_site(ResultStore.load(tree.root), folder / "site", title="A site & more")
    return folder / "site", paths


def test_pages(site):
    folder, paths = site
    names = sorted(path.name for path in paths)
    assert "index.html" in names
    assert sum(name.startswith("benchmark-") for name in names) == 2
    assert sum(name.startswith("model-") for name in names) == 7
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all(re.fullmatch(r"[a-z0-9-]{1,90}\.html", name) for name in names)


def test_every_link_leads_somewhere(site):
    folder, paths = site
    linked = set()
    for path in paths:
        page = path.read_text(encoding="utf-8")
        ids = set(re.findall(r'\sid="([^"]+)"', page))
        for address in re.findall(r'<a [^>]*href="([^"]+)"', page):
            assert address[1:] in ids if address.startswith("#") else (folder / address).is_file(), (path.name, address)
            linked.add(address)
        assert len(re.findall(r"<script", page)) == 2
    assert {path.name for path in paths} <= linked


def test_what_a_model_page_says(site):
    folder, _ = site
    (page,) = (path.read_text(encoding="utf-8") for path in folder.glob("model-genzoo-smollm2*llm2vec-gen*"))
    assert "An answer about Why is the sky blue?" in page
    assert "rank 3 of 4" in page
    assert "Every task" in page
    (reported,) = (path.read_text(encoding="utf-8") for path in folder.glob("model-acme-paper*"))
    assert "written down by somebody" in reported


def test_output_that_is_a_file(full_tree, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(InputError, match="it is a file"):
        build_site(ResultStore.load(full_tree.root), blocked, title="T")
