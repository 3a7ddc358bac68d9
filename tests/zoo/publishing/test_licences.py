"""What a frozen LLM's licence asks is asked before anything goes up, and is passed on."""

import shutil
from pathlib import Path

from conftest_builders import build_checkpoint

from genzoo.publishing.licences import lint_licence
from genzoo.publishing.plan import PublishOptions, build_plan

REPO = "alice/Tiny-LLM2Vec-Gen"


def problems(qwen3, tmp_path, repo=REPO, **options):
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "c")
    return " / ".join(build_plan(str(checkpoint), repo, tmp_path / "s", PublishOptions(**options)).problems)


def test_licence_is_inherited():
    assert "inherits" in lint_licence("mit", "apache-2.0", REPO, [])[0]
    assert "is not known to the Hub" in lint_licence("free", "", REPO, [])[0]
    assert "by hand" in lint_licence("other", "other", REPO, [])[0]
    assert lint_licence("apache-2.0", "apache-2.0", REPO, [Path("LICENSE")]) == []


def test_llama_licence(qwen3, tmp_path):
    options = {
        "licence": "llama3.2",
        "training_data": "ours",
        "base_model": "meta-llama/Llama-3.2-1B-Instruct",
        "merge": True,
    }
    told = problems(qwen3, tmp_path, **options)
    assert "must begin with 'Llama'" in told
    assert "no LICENSE file" in told
    own = shutil.copytree(qwen3, tmp_path / "with-licence")
    (own / "LICENSE").write_text("LLAMA 3.2 COMMUNITY LICENSE AGREEMENT")
    checkpoint = build_checkpoint(own).save(tmp_path / "d")
    made = build_plan(str(checkpoint), "alice/Llama-3.2-1B-LLM2Vec-Gen", tmp_path / "t", PublishOptions(**options))
    assert not made.problems
    texts = {
        file.path: file.source.read_text() for file in made.files if file.path in ("LICENSE", "NOTICE", "README.md")
    }
    assert "COMMUNITY LICENSE" in texts["LICENSE"]
    assert "Llama 3.2 is licensed under the Llama 3.2 Community License" in texts["NOTICE"]
    assert "**Built with Llama**" in texts["README.md"]


def test_gemma_terms_are_passed_on(qwen3, tmp_path):
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "c")
    options = PublishOptions(licence="gemma", training_data="ours", base_model="google/gemma-3-270m", merge=True)
    made = build_plan(str(checkpoint), REPO, tmp_path / "s", options)
    (notice,) = [file.source.read_text() for file in made.files if file.path == "NOTICE"]
    assert "ai.google.dev/gemma/terms" in notice
