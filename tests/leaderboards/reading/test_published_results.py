"""The leaderboard of the published raw files is the one that mteb's own ResultCache makes of them."""

import shutil

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore, join_revisions
from genzoo.tasks.sets.registration import registered_revisions

BENCHMARK = "MTEB(eng, v2)"


@pytest.fixture(scope="module")
def published(shared, tmp_path_factory):
    """The raw files of fifty models, and what mteb says of the benchmark's tasks."""
    folder = tmp_path_factory.mktemp("published")
    shutil.unpack_archive(shared / "data/published/results-50-models.tar.gz", folder)
    return folder


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    from genzoo.tasks import records
    from genzoo.tasks.sets.registration import resolve_tasks

    folder = tmp_path_factory.mktemp("catalogue")
    tasks, name = resolve_tasks(BENCHMARK, [])
    records.record_tasks(folder, tasks, {})
    records.record_benchmark(folder, name, tasks)
    return folder


@pytest.fixture(scope="module")
def store(published, catalogue):
    return ResultStore.load(published, catalogue=catalogue, is_kept=False)


@pytest.fixture(scope="module")
def theirs(published):
    import mteb

    return mteb.ResultCache(published).load_results(
        tasks=BENCHMARK, require_model_meta=False, include_remote=False, only_main_score=True
    )


def test_nothing_is_dropped_silently(published, store):
    files = {path for path in published.glob("results/*/*/*.json") if path.name != "model_meta.json"}
    used = set(store.main_scores["source"]) | {problem.source for problem in store.problems}
    assert {path.relative_to(published).as_posix() for path in files} == used
    assert store.main_scores["value"].notna().mean() > 0.999


def test_every_main_score_is_the_one_of_mteb(store, theirs):
    """mteb's own objects, split by split and subset by subset."""
    ours = {
        (row.model, row.revision, row.task, row.split, row.subset): row.value for row in store.main_scores.itertuples()
    }
    count = 0
    for model in theirs.model_results:
        for task in model.task_results:
            for split, rows in task.scores.items():
                for row in rows:
                    key = (model.model_name, model.model_revision, task.task_name, split, row["hf_subset"])
                    assert ours[key] == pytest.approx(row["main_score"], abs=1e-6), key
                    count += 1
    assert count > 2000


def table_of(results):
    """mteb's own table, by the full names of its models."""
    table = results.get_benchmark_result()
    table["Model"] = table["Model"].str.replace(r"^\[(.*)\]\(.*\)$", r"\1", regex=True)
    names = {str(model.model_name) for model in results.model_results}
    short = {name.rsplit("/", 1)[1]: name for name in names}
    table["Model"] = [name if name in names else short[name] for name in table["Model"]]
    return table.set_index("Model")


def test_means_and_borda_are_those_of_mteb(store, theirs):
    """Every model for which mteb defines a mean has it here too, and no other model has one."""
    board = Leaderboard.from_store(join_revisions(store, registered_revisions()), benchmark=BENCHMARK)
    table = table_of(theirs)
    assert {row.key.model for row in board.rows} == set(table.index)
    defined = table[table["Mean (Task)"].notna()]
    assert {row.key.model for row in board.rows if row.mean_task is not None} == set(defined.index)
    assert len(defined) >= 45
    scale = 100 if defined["Mean (Task)"].max() > 1 else 1
    rank = next(name for name in table.columns if "Borda" in name)
    for row in board.rows:
        if row.mean_task is not None:
            found = table.loc[row.key.model]
            assert row.mean_task * scale == pytest.approx(float(found["Mean (Task)"]), abs=1e-6), row.label
            assert row.mean_type * scale == pytest.approx(float(found["Mean (TaskType)"]), abs=1e-6), row.label
            assert row.borda == int(found[rank]), row.label


def test_joined_rows_name_their_revisions(store):
    board = Leaderboard.from_store(join_revisions(store), benchmark=BENCHMARK)
    row = next(row for row in board.rows if row.key.model == "intfloat/e5-large")
    assert [(share.revision, share.used, share.held) for share in row.facts.revisions] == [
        ("external", 21, 21),
        ("4dc6d853a804b9c8886ede6dda8a073b7dc08a81", 20, 20),
    ]
    (caveat,) = (caveat for caveat in board.caveats if caveat.kind == "revisions")
    joined = [row for row in board.rows if row.facts.revisions]
    assert f"{len(joined)} models" in caveat.title
    assert len(joined) >= 29
