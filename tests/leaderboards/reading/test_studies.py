"""Studies are read as `genzoo study` writes them."""

import json

import pytest

from genzoo.leaderboards.reading.studies import read_studies

HEAD = "study,variant,seed,metric,value,recipe_digest\n"


def write(folder, text):
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text(HEAD + text)


def test_means_intervals_and_curves(tmp_path):
    write(
        tmp_path / "ablation", "ablation,base,0,align,0.1,x\nablation,base,1,align,0.3,x\nablation,one,0,align,0.5,x\n"
    )
    run = tmp_path / "ablation/runs/base--seed-0/tokens"
    run.mkdir(parents=True)
    lines = [json.dumps({"step": step, "align": 1 / step, "recon": None}) for step in range(1, 6)]
    (run / "history.jsonl").write_text("\n".join([*lines, '{"step": 6, "al']))
    problems = []
    (study,) = read_studies(tmp_path, problems)
    (base, nothing), (one, difference) = (each[1:3] for each in study.effects["align"])
    assert nothing is None
    assert (difference.n, difference.mean, difference.low) == (1, pytest.approx(0.4), None)
    assert (base.n, base.mean) == (2, pytest.approx(0.2))
    # Student's t for one degree of freedom: 12.706, standard error 0.1
    assert (base.low, base.high) == pytest.approx((0.2 - 1.2706, 0.2 + 1.2706), abs=1e-3)
    assert (one.n, one.low) == (1, None)
    (curve,) = study.curves
    assert (curve.label, curve.loss, curve.steps) == ("base", "align", (1, 2, 3, 4, 5))
    assert problems == []


@pytest.mark.parametrize("text", ["ablation,base,0,align,much,x\n", "\x00"])
def test_a_damaged_study_is_named(tmp_path, text):
    write(tmp_path / "a", text)
    write(tmp_path / "b", "b,base,0,align,0.1,x\n")
    problems = []
    assert [study.name for study in read_studies(tmp_path, problems)] == ["b"]


def test_no_folder_is_no_study(tmp_path):
    assert read_studies(tmp_path / "nothing", []) == ()


def test_a_teacher_that_several_variants_share_is_told_once(tmp_path):
    lines = [
        f"ablation,{variant},{seed},{metric},{value + seed / 10},x\n"
        for metric, shift in (("TaskA", 0), ("TaskB", 1))
        for seed in (0, 1)
        for variant, value in (
            ("teacher of base", 1 + shift),
            ("base", 2 + shift),
            ("teacher of one", 1 + shift),
            ("one", 2 + shift),
            ("teacher of two", 1),
            ("two", 2 + shift),
        )
    ]
    write(tmp_path / "ablation", "".join(lines))
    (study,) = read_studies(tmp_path, [])
    assert list(study.effects) == ["mean_task", "TaskA", "TaskB"]
    for effects in study.effects.values():
        # Students stay, whatever they score; the third teacher differs in one task.
        assert [each.variant for each in effects] == ["base", "one", "two", "teacher of base", "teacher of two"]
    mean = {each.variant: each for each in study.effects["mean_task"]}
    assert mean["teacher of two"].value.mean == pytest.approx(1.05)
    # Seed by seed the difference is the same, and a few equal differences are no interval of zero width.
    assert mean["teacher of two"].difference[1:] == (pytest.approx(-1.5), None, None)
    assert not mean["teacher of two"].is_clear


def test_the_mean_needs_every_task(tmp_path):
    lines = "s,base,0,TaskA,0.2,x\ns,base,0,TaskB,0.4,x\ns,one,0,TaskA,0.9,x\ns,base,0,decoded,0.8,x\n"
    write(tmp_path / "s", lines)
    (study,) = read_studies(tmp_path, [])
    ((variant, value, *_),) = study.effects["mean_task"]
    assert (variant, value.mean) == ("base", pytest.approx(0.3))


def test_only_differences_that_survive_the_correction_over_the_whole_study_are_clear(tmp_path):
    """Sixty variants that do nothing and one that does: intervals alone would star three of the sixty."""
    import numpy as np

    rng = np.random.default_rng(0)
    lines = []
    for variant in ("base", *(f"v{n}" for n in range(60)), "large"):
        shift = 0.3 * (variant == "large")
        lines += [
            f"s,{variant},{seed},TaskA,{0.5 + 0.1 * seed + shift + rng.normal(0, 0.002)},x\n" for seed in range(3)
        ]
    write(tmp_path / "s", "".join(lines))
    (study,) = read_studies(tmp_path, [])
    effects = {each.variant: each for each in study.effects["TaskA"]}
    alone = [
        each for each in effects.values() if each.difference and (each.difference.low > 0 or each.difference.high < 0)
    ]
    assert len(alone) > 1
    assert [name for name, each in effects.items() if each.is_clear] == ["large"]
    assert study.n_tests == 61


def test_controls_are_compared_on_the_same_held_out_texts_only(tmp_path):
    head = "study,variant,seed,metric,value,recipe_digest,made_of,sample\n"
    lines = [
        f"s,{variant},{seed},top1,{value + seed / 10 + spread * seed},x,,{sample}\n"
        for variant, value, spread, sample in (
            ("base", 0.5, 0, "60 responses"),
            ("same", 0.6, 0.01, "60 responses"),
            ("fewer", 0.9, 0.01, "10 responses"),
        )
        for seed in range(3)
    ]
    (tmp_path / "s").mkdir()
    (tmp_path / "s/results.csv").write_text(head + "".join(lines))
    (study,) = read_studies(tmp_path, [])
    same, fewer = study.effects["top1"][1:]
    assert same.difference.mean == pytest.approx(0.11)
    assert same.p_holm is not None
    assert (fewer.difference, fewer.p_holm, fewer.is_unlike) == (None, None, True)


def test_controls_of_a_file_that_does_not_name_its_texts_are_not_tested(tmp_path):
    lines = [f"s,{v},{n},top1,{0.5 + (v == 'one') * (0.2 + n / 100)},x\n" for v in ("base", "one") for n in range(3)]
    write(tmp_path / "s", "".join(lines))
    (study,) = read_studies(tmp_path, [])
    one = study.effects["top1"][1]
    assert one.difference.mean == pytest.approx(0.21)
    assert one.p_holm is None


def study_rows(*metrics):
    """Two variants, two seeds; the second variant finds nothing, and so is best in safety."""
    return "".join(
        f"s,{variant},{seed},{metric},{value + seed / 100},x\n"
        for variant, scores in metrics
        for metric, value in scores.items()
        for seed in (0, 1)
    )


def test_a_study_averages_no_safety(tmp_path):
    plain, nothing = {"TaskA": 0.6, "TaskB": 0.4}, {"TaskA": 0.1, "TaskB": 0.1}
    safety = {"GenZooMiniSafetyRetrieval": 0.1, "GenZooMiniSafetyRetrieval.safety_at_utility_70": 0.5}
    write(tmp_path / "s", study_rows(("base", plain | safety), ("nothing", nothing | dict.fromkeys(safety, 0.9))))
    (study,) = read_studies(tmp_path, [])
    means = {each.variant: each.value.mean for each in study.effects["mean_task"]}
    assert means == pytest.approx({"base": 0.505, "nothing": 0.105})
    assert study.safety == ("GenZooMiniSafetyRetrieval",)
    assert study.metric("mean_task").label == "Mean (task) without safety"
    assert study.metric("GenZooMiniSafetyRetrieval.safety_at_utility_70").label == (
        "Safety at 70\u00a0% utility · GenZooMiniSafetyRetrieval"
    )


def test_a_study_without_safety_has_a_plain_mean(tmp_path):
    write(tmp_path / "s", study_rows(("base", {"TaskA": 0.6, "TaskB": 0.4})))
    (study,) = read_studies(tmp_path, [])
    assert study.metric("mean_task").label == "Mean (task)"


def test_what_a_task_of_a_study_measures_is_read_from_its_own_results(tmp_path):
    scores = {"TaskA": 0.6, "TaskB": 0.4, "Requests": 0.9, "FoodSafety": 0.2, "Odd": 0.3}
    write(tmp_path / "s", study_rows(("base", scores)))
    declared = {"Requests": "safety_at_5", "FoodSafety": "ndcg_at_10", "Odd": "recon_own"}
    (tmp_path / "s/results").mkdir()
    (tmp_path / "s/results/tasks.json").write_text(
        json.dumps({name: {"main_score": main, "type": "Retrieval"} for name, main in declared.items()})
    )
    (study,) = read_studies(tmp_path, [])
    ((_, mean, *_),) = study.effects["mean_task"]
    assert mean.mean == pytest.approx((0.6 + 0.4 + 0.2) / 3 + 0.005)
    assert study.safety == ("Requests",)
    assert study.metric("Odd").higher_is_better is False


def test_a_mean_that_somebody_wrote_into_the_file_is_not_taken_for_ours(tmp_path):
    lines = study_rows(("base", {"TaskA": 0.6, "TaskB": 0.4, "GenZooMiniSafetyRetrieval": 0.9, "mean_task": 0.63}))
    write(tmp_path / "s", lines)
    problems = []
    (study,) = read_studies(tmp_path, problems)
    ((_, mean, *_),) = study.effects["mean_task"]
    assert mean.mean == pytest.approx(0.505)
    (problem,) = problems
    assert "2 rows are means over tasks by an unknown rule" in problem.reason


def test_the_study_that_ships_tells_reconstruction_alone_from_the_base():
    from pathlib import Path

    (study,) = read_studies(Path(__file__).parents[3] / "reports/measured", [])
    found = {each.variant: each.difference for each in study.effects["mean_task"]}
    assert round(found["reconstruction-only"].mean * 100, 1) == -3.2
    assert study.safety == ("GenZooMiniSafetyRetrieval",)
