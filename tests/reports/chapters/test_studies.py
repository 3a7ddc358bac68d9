"""The chapter on studies: a figure for what matters, the losses, and a table with every difference."""

import json

from genzoo.leaderboards.reading.studies import read_studies
from genzoo.reports.chapters.studies import studies_sections


def test_ablations_chapter(tmp_path):
    folder = tmp_path / "ablation"
    run = folder / "runs/base--seed-0/tokens"
    run.mkdir(parents=True)
    rows = [f"ablation,{v},{s},TaskX,{0.4 + 0.1 * (v == 'one') + 0.01 * s},x" for v in ("base", "one") for s in (0, 1)]
    (folder / "results.csv").write_text("\n".join(["study,variant,seed,metric,value,recipe_digest", *rows]))
    (run / "history.jsonl").write_text(
        "\n".join(json.dumps({"step": n, "align": 1 / n, "recon": 2}) for n in range(1, 9))
    )
    (section,) = studies_sections(read_studies(tmp_path, []))
    assert [type(block).__name__ for block in section.blocks] == [
        "Prose",
        "Drawing",
        "Drawing",
        "Drawing",
        "TableBlock",
    ]
    assert "Safety is not part of any mean." in section.blocks[0].text
    # Both seeds say the same.
    assert any("No difference was tested" in note for note in section.blocks[-1].table.notes)
    assert studies_sections(()) == ()


def test_a_study_of_exit_layers_shows_quality_against_cost(tmp_path):
    (tmp_path / "exit").mkdir()
    figures = {"deep": (30, 0.5), "shallow": (20, 0.48)}
    rows = [
        f"exit,{v},{s},TaskX,{y + s / 100},x\nexit,{v},{s},layers_run,{x},x"
        for v, (x, y) in figures.items()
        for s in (0, 1)
    ]
    (tmp_path / "exit" / "results.csv").write_text("\n".join(["study,variant,seed,metric,value,recipe_digest", *rows]))
    (section,) = studies_sections(read_studies(tmp_path, []))
    (drawing,) = [block for block in section.blocks if getattr(block, "identity", "").endswith("-layers")]
    assert "30 layers: 50.5; 20 layers: 48.5" in drawing.description
    table = section.blocks[-1].table
    place = [column.label for column in table.columns].index("Layers that embed a text")
    assert [row[place].value for row in table.rows] == [30, 20]
