"""Revisions of one model are joined by mteb's rule, and the join is shown."""

import json

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore, join_revisions
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.reading.revisions import has_rivals

MODEL = "intfloat/e5-large"  # mteb knows it
MAIN, OTHER, THIRD = "4dc6d853a804b9c8886ede6dda8a073b7dc08a81", "b" * 40, "c" * 40
TASKS = ("STS12", "STS13", "STS14", "STS15", "STS16", "SICK-R", "BIOSSES")
# revision, mteb version and the tasks that it has
CASES = {
    "disjoint": [(MAIN, "2.1.0", TASKS[:3]), ("external", None, TASKS[3:])],
    "registered before newer": [(MAIN, "1.20.0", TASKS), (OTHER, "2.26.0", TASKS)],
    "newest of unregistered": [(OTHER, "1.9.0", TASKS), (THIRD, "1.10.0", TASKS[:4])],
    "stated before external": [("external", None, TASKS), (OTHER, "1.1.0", TASKS[2:])],
    "version before revision": [("external", "1.38.0", TASKS), (OTHER, None, TASKS)],
    "no version": [("external", None, TASKS), (OTHER, None, TASKS[:5])],
    "a range is not a version": [(OTHER, "2.1.0-2.3.0", TASKS), (THIRD, "1.0.0", TASKS[1:])],
    "three": [("external", None, TASKS), (OTHER, "1.2.0", TASKS[:4]), (MAIN, "1.1.0", TASKS[3:5])],
}


@pytest.fixture
def scattered(tree):
    """Writes a case; every score tells its revision and task."""

    def write(case):
        for place, (revision, version, tasks) in enumerate(CASES[case], 1):
            tree.write(
                f"results/{MODEL.replace('/', '__')}/{revision}/model_meta.json", {"name": MODEL, "revision": revision}
            )
            for number, task in enumerate(tasks, 1):
                tree.score((MODEL, revision), task, place / 10 + number / 100, version=version)
        return tree

    return write


def mteb_scores(root):
    """Task to score as mteb joins them."""
    import mteb

    results = mteb.ResultCache(root).load_results(require_model_meta=False, include_remote=False)
    frame = results.join_revisions().to_dataframe(format="long")
    return dict(zip(frame["task_name"], frame["score"], strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_rule_is_that_of_mteb(scattered, case):
    from genzoo.tasks.sets.registration import registered_revisions

    root = scattered(case).root
    store = join_revisions(ResultStore.load(root), registered_revisions())
    (key,) = store.models
    ours = {row.task: row.value for row in store.main_scores.itertuples()}
    assert ours == pytest.approx(mteb_scores(root))
    assert {(row.model, row.revision) for row in store.main_scores.itertuples()} == {key}
    shares = {share.revision: (share.used, share.held) for share in store.models[key].revisions}
    assert {revision: held for revision, (_, held) in shares.items()} == {r: len(tasks) for r, _, tasks in CASES[case]}
    assert sum(used for used, _ in shares.values()) == len(ours)


def test_the_join_is_shown_and_can_be_left_out(scattered):
    tree = scattered("three")
    tree.score(("acme/whole", "r1"), "STS12", 0.5)
    apart = ResultStore.load(tree.root)
    assert [key.model for key in apart.models] == ["acme/whole", MODEL, MODEL, MODEL]
    board = Leaderboard.from_store(join_revisions(apart, {MODEL: MAIN}))
    row = next(row for row in board.rows if row.key.model == MODEL)
    assert row.key.revision == "+".join(share.revision for share in row.facts.revisions)
    assert set(row.key.revision.split("+")) == {MAIN, OTHER, "external"}
    assert [(share.used, share.held) for share in sorted(row.facts.revisions)] == [(2, 2), (3, 4), (2, 7)]
    (caveat,) = (caveat for caveat in board.caveats if caveat.kind == "revisions")
    assert caveat.title == "Joined revisions: 1 model"
    assert "partly reported" in caveat.text
    assert "the others are not shown: e5-large (6)" in caveat.text


def test_provenance_and_other_metrics_follow_the_revision_that_counts(scattered):
    store = join_revisions(ResultStore.load(scattered("registered before newer").root), {MODEL: MAIN})
    (key,) = store.models
    assert key == ModelKey(MODEL, MAIN)
    assert store.sources(key, "STS12")[0] == f"results/intfloat__e5-large/{MAIN}/STS12.json"
    assert store.value(key, "STS12", "main_score") == pytest.approx(0.11)
    main = store.frame.query("metric == 'main_score'")["value"]
    assert sorted(main) == pytest.approx([0.1 + number / 100 for number in range(1, 8)])
    assert store.find(f"e5-large@{MAIN[:9]}") == key


def test_runs_of_genzoo_and_reported_rows_are_never_joined(tree):
    for task in ("A", "B"):
        tree.task(task)
    for revision, tasks in (("a" * 40, "A"), ("b" * 40, "AB")):
        tree.model("genzoo/mine", revision, role="zoo")
        for task in tasks:
            tree.score(("genzoo/mine", revision), task, 0.5)
    tree.write("reported/paper.csv", "model,task,main_score\ngenzoo/mine,A,0.9\n")
    store = ResultStore.load(tree.root)
    assert not has_rivals(store)
    assert join_revisions(store) is store
    labels = [row.label for row in Leaderboard.from_store(store).rows]
    assert sorted(labels) == ["mine @ aaaaaaa", "mine @ bbbbbbb", "mine @ reported"]


def test_variants_are_joined_among_themselves(tree):
    for revision, task in (("r1", "A"), ("r2", "B")):
        path = tree.score(("acme/m", revision), task, 0.5)
        variant = path.parent / "experiments" / "precision_int8" / path.name
        variant.parent.mkdir(parents=True)
        variant.write_text(json.dumps({**json.loads(path.read_text()), "mteb_version": "2.0.0"}))
    store = join_revisions(ResultStore.load(tree.root))
    assert list(store.models) == [ModelKey("acme/m", "r1+r2"), ModelKey("acme/m", "r1+r2+precision_int8")]


def test_a_split_that_the_task_does_not_ask_for_does_not_count(tree):
    tree.task("A", splits=["test"])
    tree.score(("acme/m", "r1"), "A", 0.9, split="dev", version="2.9.0")
    tree.score(("acme/m", "r2"), "A", 0.5, version="1.0.0")
    board = Leaderboard.from_store(join_revisions(ResultStore.load(tree.root)))
    assert [row.mean_task for row in board.rows if row.mean_task is not None] == [0.5]
