"""Studies are read as `genzoo study` writes them."""

import json

import pytest

from genzoo.leaderboards.studies import read_studies

HEAD = "study,variant,seed,metric,value,recipe_digest\n"


def write(folder, text):
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text(HEAD + text)


def test_means_intervals_and_curves(tmp_path):
    write(
        tmp_path / "ablation", "ablation,base,0,align,0.1,x\nablation,base,1,align,0.3,x\nablation,one,0,align,0.5,x\n"
    )
    run = tmp_path / "ablation/runs/base--seed-0"
    run.mkdir(parents=True)
    lines = [json.dumps({"step": step, "align": 1 / step, "recon": None}) for step in range(1, 6)]
    (run / "history.jsonl").write_text("\n".join([*lines, '{"step": 6, "al']))
    problems = []
    (study,) = read_studies(tmp_path, problems)
    base, one = study.effects["align"]
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
