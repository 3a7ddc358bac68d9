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
