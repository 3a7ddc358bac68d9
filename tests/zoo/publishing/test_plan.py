"""What would be published: files, licences, and the card."""

import dataclasses
import json
import re
import shutil
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
import yaml
from conftest_builders import build_checkpoint
from huggingface_hub import ModelCard

from genzoo.errors import CheckpointError, InputError
from genzoo.publishing.plan import ALLOWED, PublishOptions, build_plan
from genzoo.publishing.scores import CardScore, CardScores, write_eval_results

REPO = "alice/Tiny-LLM2Vec-Gen"


def test_plan_holds_what_may_go_up_and_nothing_else(plan, tmp_path_factory):
    assert not plan.problems
    paths = [file.path for file in plan.files]
    assert paths == sorted(paths)
    assert {"README.md", "fingerprint.json", "genzoo.json", "modules.json", "model.safetensors"} <= set(paths)
    assert all(any(re.fullmatch(pattern, path) for pattern in ALLOWED) for path in paths)
    assert not [path for path in paths if path.endswith((".bin", ".pt", ".py", ".env"))]
    for file in plan.files:
        text = file.source.read_bytes()
        assert file.size == len(text)
        if file.path.endswith((".md", ".json")):
            assert str(tmp_path_factory.getbasetemp()).encode() not in text, file.path


def test_what_lies_beside_the_model_stays_at_home(qwen3, tmp_path):
    folder = build_checkpoint(qwen3).save(tmp_path / "c")
    for name in (".env", "optimizer.pt", "notes.txt", "__pycache__/x.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("secret")
    made = build_plan(str(folder), REPO, tmp_path / "staging", PublishOptions(licence="mit", merge=True))
    assert made.left_out == (".env", "__pycache__/x.pyc", "notes.txt", "optimizer.pt")
    assert b"secret" not in b"".join(file.source.read_bytes() for file in made.files)


def test_plan_is_the_same_every_time(plan, options, qwen3, tmp_path):
    """Or a second run could not tell that the first had finished."""
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "checkpoint")
    again = build_plan(str(checkpoint), REPO, tmp_path / "staging", options)
    assert {f.path: f.sha256 for f in again.files} == {f.path: f.sha256 for f in plan.files}


@pytest.mark.parametrize("merge", [True, False])
def test_a_model_that_ends_at_an_exit_layer_goes_up_and_says_so(qwen3, tmp_path, merge):
    checkpoint = dataclasses.replace(build_checkpoint(qwen3), exit_layer=1, info={"backbone_layers": 2})
    options = PublishOptions(licence="mit", training_data="Our own words", base_model="acme/base", merge=merge)
    made = build_plan(str(checkpoint.save(tmp_path / "c")), REPO, tmp_path / "staging", options)
    assert not made.problems
    files = {file.path: file.source for file in made.files}
    assert "| Tokens read after | layer 1 of 2;" in files["README.md"].read_text()
    config = json.loads(files["config.json" if merge else "sentence_bert_config.json"].read_text())
    assert (config if merge else config["config_kwargs"])["num_hidden_layers"] == 1
    assert json.loads(files["genzoo.json"].read_text())["exit_layer"] == 1
    if merge:
        assert made.size < sum(path.stat().st_size for path in qwen3.iterdir())


def problems(qwen3, tmp_path, repo=REPO, **options):
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "c")
    return " / ".join(build_plan(str(checkpoint), repo, tmp_path / "s", PublishOptions(**options)).problems)


def test_lint_names_everything_at_once(qwen3, tmp_path):
    told = problems(qwen3, tmp_path)
    for part in ("--licence", "--training-data", "--base-model"):
        assert part in told


@pytest.mark.parametrize("tag", ["main", "", "v 1", "a" * 40, "../x", 'v1", trust_remote_code=True, x="', "x.lock"])
def test_bad_tag(tmp_path, tag):
    """Refused at once: after the commit it would be too late, and the card repeats it as code."""
    with pytest.raises(InputError, match="--tag"):
        build_plan("smollm2-135m", REPO, tmp_path / "s", PublishOptions(tag=tag))


def test_no_place_of_this_machine_goes_up(qwen3, tmp_path):
    info = {"recipe": {"backbone": str(qwen3), "queries": "/home/me/secret project/log.txt", "teacher": "~/teacher"}}
    info |= {"prompts": {"query": "/no_think Answer: "}}
    checkpoint = dataclasses.replace(build_checkpoint(qwen3), info=info)
    options = PublishOptions(merge=True, licence="mit", training_data="ours", base_model="alice/base")
    made = build_plan(str(checkpoint.save(tmp_path / "c")), REPO, tmp_path / "s", options)
    (facts,) = [json.loads(file.source.read_text()) for file in made.files if file.path == "genzoo.json"]
    assert facts["info"]["recipe"]["backbone"] == qwen3.name
    assert facts["info"]["recipe"]["teacher"] == "teacher"
    assert facts["info"]["prompts"] == {"query": "/no_think Answer: "}
    for file in made.files:
        assert str(qwen3.parent).encode() not in file.source.read_bytes(), file.path


def test_a_licence_that_is_a_link_to_a_secret(qwen3, tmp_path):
    """A backbone's folder from elsewhere must not make this machine's files public."""
    own = shutil.copytree(qwen3, tmp_path / "backbone")
    (tmp_path / "token").write_text("hf_secret")
    (own / "LICENSE").symlink_to(tmp_path / "token")
    checkpoint = build_checkpoint(own).save(tmp_path / "c")
    with pytest.raises(CheckpointError, match="LICENSE is a link that leads out of the folder"):
        build_plan(str(checkpoint), REPO, tmp_path / "s", PublishOptions(licence="mit"))
    (own / "LICENSE").unlink()
    (own / "LICENSE").write_bytes("Lizenz für alle".encode("latin-1"))
    options = PublishOptions(merge=True, licence="mit", training_data="ours", base_model="alice/base")
    made = build_plan(str(checkpoint), REPO, tmp_path / "t", options)
    (text,) = [file.source.read_bytes() for file in made.files if file.path == "LICENSE"]
    assert text.decode("latin-1") == "Lizenz für alle"


@pytest.mark.parametrize(
    "repo", ["tiny", "a/b/c", "../x/y", "a/-b c", "alice/../bob", "", "a--b/c", "a/b.git", "é/x", "a/b-"]
)
def test_bad_repository_name(qwen3, tmp_path, repo):
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "c")
    with pytest.raises(InputError, match="write org/name"):
        build_plan(str(checkpoint), repo, tmp_path / "s", PublishOptions())


def test_card_metadata_and_usage(plan, tmp_path):
    (card_file,) = [file.source for file in plan.files if file.path == "README.md"]
    card = ModelCard.load(card_file)
    data = card.data.to_dict()
    assert (data["license"], data["base_model"], data["base_model_relation"]) == (
        "apache-2.0",
        "alice/tiny-backbone",
        "finetune",
    )
    assert data["library_name"] == "sentence-transformers"
    assert "{{" not in card.text
    assert "{%" not in card.text
    code = re.search(r"```python\n(.*?)```", card.text, re.S)[1]
    printed = re.search(r"printed:\n\n```\n(.*?)\n```", card.text, re.S)[1]
    folder = plan.files[0].source
    while not (folder / "modules.json").is_file():
        folder = folder.parent
    out = StringIO()
    with redirect_stdout(out):
        exec(code.replace(f'"{REPO}", revision="v1"', f'"{folder}", device="cpu"'), {})  # noqa: S102 - the card's own code
    assert out.getvalue().strip() == printed
    assert np.isfinite([float(number) for number in re.findall(r"-?\d\.\d+", printed)]).all()


def test_eval_results_are_read_back_by_the_client(plan, server, api, lfs_only, tmp_path):
    row = CardScore(
        "STSBenchmark", "Spearman ↑", "82.0", "–", 82.0325, dataset="mteb/stsbenchmark-sts", dataset_revision="b" * 40, date="2026-11-22"
    )  # fmt: skip
    local = CardScore("GenZooMiniSTS", "Spearman ↑", "56.6", "66.3", 56.6)
    (written,) = write_eval_results(CardScores((row, local)), tmp_path)
    assert yaml.safe_load(written.read_text())[0]["dataset"] == {
        "id": "mteb/stsbenchmark-sts",
        "task_id": "STSBenchmark",
        "revision": "b" * 40,
    }
    server.hub.import_folder("model", REPO, tmp_path)
    (found,) = api.model_info(REPO, expand=["evalResults"]).eval_results
    assert (found.dataset_id, found.task_id, found.value) == ("mteb/stsbenchmark-sts", "STSBenchmark", 82.0325)


@pytest.mark.parametrize("task", ["../../escape", "a/b", "", ".hidden", "x\ny"])
def test_a_task_with_a_hostile_name_writes_nothing(task, tmp_path):
    row = CardScore(task, "Spearman ↑", "1.0", "–", 1.0, dataset="mteb/x", dataset_revision="b" * 40)
    with pytest.raises(InputError, match="a task named"):
        write_eval_results(CardScores((row,)), tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("*.yaml"))


def test_adapter_form_names_its_base_and_its_commit(qwen3, tmp_path):
    checkpoint = build_checkpoint(qwen3)
    options = PublishOptions(licence="mit", training_data="ours", base_model="alice/tiny-backbone")
    made = build_plan(str(checkpoint.save(tmp_path / "c")), REPO, tmp_path / "s", options)
    (adapter,) = [json.loads(file.source.read_text()) for file in made.files if file.path == "adapter_config.json"]
    assert adapter["base_model_name_or_path"] == "alice/tiny-backbone"
    assert not made.problems
    assert made.size < 1_000_000
