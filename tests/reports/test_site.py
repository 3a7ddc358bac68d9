"""The static site: every page is there, whole, and every link inside of it leads somewhere."""

import re
from pathlib import Path

import pytest
from safety_tree import build_zoo

from genzoo.errors import InputError, ZooError
from genzoo.leaderboards import ResultStore
from genzoo.reports import build_site
from genzoo.text import clean


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
    assert "reported elsewhere" in reported


def test_output_that_is_a_file(full_tree, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(InputError, match="it is a file"):
        build_site(ResultStore.load(full_tree.root), blocked, title="T")


def test_pages_of_somebody_else_stay(full_tree, tmp_path):
    store, site = ResultStore.load(full_tree.root), tmp_path / "site"
    site.mkdir()
    (site / "CNAME").write_text("mine")
    build_site(store, site, title="Old")
    build_site(store, site, title="New")
    assert "<title>New</title>" in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "CNAME").read_text() == "mine"
    (page,) = site.glob("model-acme-bge*.html")
    for path in (page, site / "index.html"):
        path.write_text("<p>mine</p>")
        before = {path.name: path.read_bytes() for path in site.iterdir()}
        with pytest.raises(InputError, match=rf"{path.name} was not written by genzoo"):
            build_site(store, site, title="Third")
        assert {path.name: path.read_bytes() for path in site.iterdir()} == before


def test_models_whose_names_look_alike_have_a_page_each(tree, tmp_path):
    tree.benchmark("T", ["T"])
    tree.benchmark("t", ["T"])
    models = [("a/m@r", "r"), ("a/m", "r@r"), ("A/m@r", "r"), ("a/m\u202e", "r"), ("a/m\u202d", "r")]
    for place, (model, revision) in enumerate(models):
        folder = f"results/org{place}__m/{revision}"
        tree.write(f"{folder}/model_meta.json", {"name": model, "revision": revision})
        tree.write(f"{folder}/T.json", {"task_name": "T", "scores": {"test": [{"main_score": 0.1 * place}]}})
    store = ResultStore.load(tree.root)
    assert len(set(map(clean, store.labels.values()))) == 5
    paths = build_site(store, tmp_path / "site", title="T")
    assert sum(path.name.startswith("model-") for path in paths) == 5
    assert sum(path.name.startswith("benchmark-") for path in paths) == 2
    assert len({path.name.casefold() for path in paths}) == len(paths)


def test_a_site_is_written_whole_or_not_at_all(full_tree, tmp_path, monkeypatch):
    store, site = ResultStore.load(full_tree.root), tmp_path / "site"
    build_site(store, site, title="Old")
    before = {path.name: path.read_bytes() for path in site.iterdir()}
    replace, calls = Path.replace, []

    def fail_late(self, target):
        calls.append(target)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_late)
    with pytest.raises(ZooError, match="No space left"):
        build_site(store, site, title="New")
    assert len(calls) > 3
    assert {path.name: path.read_bytes() for path in site.iterdir()} == before


def test_equal_models_share_the_top_and_the_rank(tree, tmp_path):
    scores = {"a": (0.1, 0.2, 0.6), "b": (0.2, 0.6, 0.1), "c": (0.6, 0.1, 0.2)}  # sums in another order
    for model, values in scores.items():
        for task, value in zip("TUV", values, strict=True):
            tree.score((f"acme/{model}", "r"), task, value)
    build_site(ResultStore.load(tree.root), tmp_path / "site", title="T")
    assert "tied with two others" in (tmp_path / "site/index.html").read_text(encoding="utf-8")
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "site").glob("model-*")]
    assert len(pages) == 3
    assert all("rank 1 of 3" in page for page in pages)


def test_a_model_page_explains_only_what_it_shows(tree, tmp_path):
    build_zoo(tree)
    build_site(ResultStore.load(tree.root), tmp_path / "site", title="T")
    careful, nothing = (
        next((tmp_path / "site").glob(f"model-acme-{name}-*")).read_text(encoding="utf-8")
        for name in ("careful", "nothing")
    )
    assert "That is the worst result" in nothing
    assert "That is the worst result" not in careful
    assert "sorted by safety" not in careful
