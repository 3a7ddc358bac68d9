"""The chapters on provenance and caveats: everything that a reader needs to check a report."""

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.caveats import Caveat
from genzoo.leaderboards.facts import Problem
from genzoo.reports.chapters.provenance import caveats_section, provenance_section
from genzoo.reports.render.document import Listing, Prose, TableBlock


def tables_of(tree):
    store = ResultStore.load(tree.root)
    section = provenance_section(Leaderboard.from_store(store), store)
    return {block.table.title: block.table for block in section.blocks if isinstance(block, TableBlock)}, section


def test_models_tasks_prompts_versions_and_machines(full_tree, builder):
    tables, section = tables_of(full_tree)
    assert list(tables) == ["Models", "Tasks and data", "Prompts", "Package versions", "Machines"]
    student = next(row for row in tables["Models"].rows if row[0].value == builder.STUDENT[0])
    assert [cell.display for cell in student[1:]] == [
        "aaaaaaa", "HuggingFaceTB/SmolLM2-135M-Instruct", builder.TEACHER[0], "cpu, float32", "512", "32", "2026-05-01",
    ]  # fmt: skip
    assert student[1].description == builder.STUDENT[1]
    scifact = next(row for row in tables["Tasks and data"].rows if row[0].value == "SciFact")
    assert [cell.display for cell in scifact[1:]] == [
        "Retrieval", "nDCG@10", "genzoo/SciFact", "v1", "5,483", "2.26.24",
    ]  # fmt: skip
    # The models that share all versions share a row.
    assert [row[0].value.count(", ") for row in tables["Package versions"].rows] == [2]
    (quiet,) = (block.text for block in section.blocks if isinstance(block, Prose))
    assert quiet == "No environment record (prompts, versions, machine) for bge-lookalike-base."


def test_several_revisions_of_the_data_and_of_mteb_are_all_named(tree):
    tree.task("T")
    for place, (data, version) in enumerate([("v1", "2.1.0"), ("v2", "2.2.0"), ("v3", "2.3.0"), ("v3", "2.3.0")]):
        tree.score((f"acme/m{place}", "r"), "T", 0.5, data=data, version=version)
    (row,) = tables_of(tree)[0]["Tasks and data"].rows
    assert (row[4].display, row[4].description) == ("v1, v2 and 1 more", "v1, v2, v3")
    assert (row[6].display, row[6].description) == ("2.1.0, 2.2.0 and 1 more", "2.1.0, 2.2.0, 2.3.0")


def test_predictions_say_whether_scores_per_query_follow(tree):
    tree.task("T")
    tree.score(("acme/m", "r"), "T", 0.5)
    tree.predict(("acme/m", "r"), "T", {"q": {"d": 0.5}})
    text = tables_of(tree)[1].blocks[-1].text
    assert text.startswith("`predictions/` holds one file with predictions") and "run `genzoo evaluate` again" in text
    tree.judge("T", {"q": "d"}, {"d": "text"})
    assert "`judgements/` holds its relevant documents" in tables_of(tree)[1].blocks[-1].text


def test_caveats_and_problems():
    caveats = (Caveat("kind", "Title", "Text."),)
    listing, problems = caveats_section(caveats, (Problem("a.json", "is broken"),)).blocks
    assert listing == Listing((("Title", "Text."),))
    assert [[cell.value for cell in row] for row in problems.table.rows] == [["a.json", "is broken"]]
    assert not problems.is_filterable
    (nothing,) = caveats_section((), ()).blocks
    assert isinstance(nothing, Prose)
