"""Files of earlier runs are known by the content that they were made of, and those of earlier versions are still read."""

import shutil

import pytest
import torch
from conftest_builders import SENTENCES, build_backbone, build_checkpoint
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from genzoo.backbones.generation import Query, Response
from genzoo.errors import InputError, TrainingError
from genzoo.models.exported import export
from genzoo.recipes.recipes import (
    UNSUPERVISED,
    LossOptions,
    OptimOptions,
    Recipe,
    ResponseOptions,
    UnsupervisedOptions,
    override,
)
from genzoo.teachers.unsupervised import teacher_name
from genzoo.training import pipeline
from genzoo.training.pipeline import TrainingRun, teacher_content
from genzoo.training.responses import answer_facts, options_digest, write_responses

QUERIES = [Query(f"q{i}", f"{text} {i}") for i, text in enumerate(SENTENCES)]
NEVER = lambda *given: pytest.fail("answered")  # noqa: E731


@pytest.fixture
def folders(tmp_path, llama, tiny_teacher):
    """A backbone and a teacher that a test may change."""
    found = tmp_path / "backbone", tmp_path / "teacher"
    for source, folder in zip((llama, tiny_teacher), found, strict=True):
        shutil.copytree(source, folder)
    return found


@pytest.fixture
def recipe(folders):
    return Recipe(
        "identity",
        *map(str, folders),
        n_compression=2,
        max_tokens=64,
        response=ResponseOptions(max_new_tokens=3, source="echo"),
        losses=LossOptions(recon_tokens=4),
        optim=OptimOptions(steps=2, batch=4, warmup=1),
        unsupervised=UnsupervisedOptions(layer=1, whiten=4, fit_texts=99),
    )


def _run(recipe, folder, queries=QUERIES):
    return TrainingRun(recipe, queries, folder, device="cpu")


def _change_weights(folder):
    path = next(folder.rglob("model.safetensors"))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    # Read whole before it is written over.
    changed = {name: (tensor + torch.rand_like(tensor)).clone() for name, tensor in load_file(path).items()}
    save_file(changed, path, metadata=metadata)


def test_a_state_is_known_by_all_of_its_examples_backbone_and_teacher(recipe, folders, tmp_path):
    output, recipe = tmp_path / "run", override(recipe, {"optim.steps": 4})
    before = _run(recipe, output).examples()
    _run(recipe, output).train()
    assert _run(recipe, output).train()
    unseen = [*QUERIES[:-1], Query("new", "held out, and in no example")]
    assert _run(recipe, output, unseen).train()
    seen = next(query for query in QUERIES[:-1] if query.text not in before[0].text)
    later = [Query(query.id, f"{query.text}!") if query is seen else query for query in QUERIES]
    with pytest.raises(TrainingError, match=r"another run \(other content of the examples\)"):
        _run(recipe, output, later).train()
    _change_weights(folders[1])
    with pytest.raises(TrainingError, match=r"other teacher\)"):
        _run(recipe, output).train()
    _change_weights(folders[0])
    with pytest.raises(TrainingError, match=r"other backbone\)"):
        _run(recipe, output).train()


def test_a_state_of_an_earlier_version_is_gone_on_with_and_said(recipe, tmp_path, notes):
    output = tmp_path / "run"
    before = _run(recipe, output).train()
    assert notes == []
    path = output / "tokens" / "state.safetensors"
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    kept = {key: facts[key] for key in ("recipe", "first", "examples", "step", "bfloat16")}
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata=kept)
    assert _run(recipe, output).train().digest() == before.digest()
    assert len(notes) == 1
    assert "does not say with which content of the examples, backbone, teacher" in notes[0]
    save_file(tensors, path, metadata=kept | {"first": "something else"})
    with pytest.raises(TrainingError, match="other first example"):
        _run(recipe, output).train()


def test_answers_of_other_weights_under_the_same_name_are_refused(recipe, folders, tmp_path):
    output, own = tmp_path / "run", override(recipe, {"response.source": "own"})
    assert _run(own, output).responses()
    assert _run(own, output).responses()
    moved = folders[0].rename(tmp_path / "moved")
    assert _run(override(own, {"backbone": str(moved)}), output).responses()  # the same, elsewhere
    moved.rename(folders[0])
    _change_weights(folders[0])
    with pytest.raises(TrainingError, match=r"made with another setting \(backbone content"):
        _run(own, output).responses()


def test_a_teacher_is_known_by_the_backbone_that_it_loads_from_elsewhere(folders, tmp_path):
    teacher = export(build_checkpoint(folders[0]), folders[0], tmp_path / "small", "adapter", name="x")
    name = teacher_content(str(teacher))
    assert teacher_content(str(teacher)) == name
    _change_weights(folders[0])
    assert teacher_content(str(teacher)) != name


def test_a_teacher_of_an_earlier_version_is_taken_and_said(recipe, folders, tmp_path, notes):
    own = override(recipe, {"teacher": UNSUPERVISED})
    run = _run(own, tmp_path / "run")
    name = run.teacher[0]
    run.teacher[1]()
    former = teacher_name(
        run.backbone_digest, own.unsupervised, run.training_texts(run.split(run.responses())[1]), own.seed
    )
    assert former != name
    assert _run(own, tmp_path / "run").teacher[0] == name
    assert notes == []
    (tmp_path / "run" / "teacher" / name).rename(tmp_path / "run" / "teacher" / former)
    assert _run(own, tmp_path / "run").teacher[0] == former
    assert "was made by an earlier version" in notes[0]
    # Another tokenizer makes another teacher.
    path = folders[0] / "tokenizer.json"
    path.write_text(path.read_text() + "\n")
    assert _run(own, tmp_path / "new").teacher[0] != name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"unsupervised.layer": 3}, "unsupervised.layer is 3, the backbone has layers 1 to 2"),
        ({"unsupervised.whiten": 33}, "unsupervised.whiten is 33, the backbone is 32 wide"),
        ({"unsupervised.whiten": 15}, "needs more than 15 texts, the log has 16, of which 1 are held out"),
        ({"unsupervised.simcse_steps": 1, "unsupervised.simcse_batch": 8}, "batches of 8 needs twice as many texts"),
        ({"exit_layer": 3}, "exit_layer is 3, the backbone has layers 1 to 2"),
        ({"lora.rank": 1, "lora.modules": "q_proj, nosuch"}, "no projection is named nosuch: this backbone has"),
    ],
)
def test_what_the_backbone_cannot_do_is_found_before_anything_is_answered(recipe, tmp_path, monkeypatch, changes, told):
    monkeypatch.setattr(pipeline, "make_engine", NEVER)
    own = override(recipe, {"teacher": UNSUPERVISED, "response.source": "own", **changes})
    with pytest.raises(InputError, match=told):
        _run(own, tmp_path / "run").train()
    assert not (tmp_path / "run").exists()


def test_what_the_backbone_can_do_passes(recipe, tmp_path):
    for changes in ({"unsupervised.layer": 2, "unsupervised.whiten": 14}, {"lora.rank": 1, "lora.modules": "q_proj,"}):
        _run(override(recipe, {"teacher": UNSUPERVISED, **changes}), tmp_path / "run").fetch()
    # A teacher that is not made here asks nothing of the backbone.
    _run(override(recipe, {"unsupervised.layer": 99}), tmp_path / "run").fetch()


def test_responses_that_were_made_earlier_are_taken_only_where_they_fit(recipe, tmp_path, notes):
    own = override(recipe, {"response.source": "own"})
    run = _run(own, tmp_path / "run")
    rows = [Response(query.id, query.text, "an answer", "stop", 2) for query in QUERIES]
    stamp = options_digest(run.answer_facts)
    other = options_digest(answer_facts("x", "y", own.response))
    source = tmp_path / "made" / "responses.jsonl"
    for made_with, told in ((other, "made with other settings or by another backbone"), (stamp, None), ("", None)):
        notes.clear()
        run = _run(own, tmp_path / f"run-{made_with}")
        stamped = [Response(row.id, row.query, row.response, "stop", 2, made_with) for row in rows]
        write_responses(source, stamped)
        if told:
            with pytest.raises(TrainingError, match=told):
                run.take(stamped, source)
            assert not run.output.exists()
            continue
        run.take(stamped, source)
        assert len(run.responses()) == len(rows)
        assert len(notes) == (not made_with)
    # What lies beside an older file speaks for it.
    (source.parent / "responses.json").write_text('{"temperature": 0.5}')
    with pytest.raises(TrainingError, match=r"temperature 0.5, now 0.0"):
        _run(own, tmp_path / "late").take(rows, source)


def test_hub_names_are_pinned_and_keys_stay(monkeypatch):
    monkeypatch.setattr(pipeline, "pin_name", lambda name: f"{name}@{'0' * 40}" if "/" in name else name)
    assert teacher_content("minilm") == "minilm"
    assert teacher_content("org/name").endswith("@" + "0" * 40)


def test_all_of_an_example_is_part_of_its_digest():
    from genzoo.training.examples import TrainingExample
    from genzoo.training.state import examples_content

    rows = [
        TrainingExample("a", "b", True),
        TrainingExample("a", "b", False),
        TrainingExample("a", "c", True),
        TrainingExample("ab", "", True),
    ]
    assert len({examples_content([row]) for row in rows}) == len(rows)
    assert examples_content(rows) != examples_content(rows[::-1])


def test_two_builds_of_one_backbone_have_one_content(tmp_path, llama, qwen3):
    same = build_backbone(tmp_path / "same", "llama", bos=True, tied=False, spare=16)
    contents = {
        _run(Recipe("r", str(folder), "minilm"), tmp_path / "run").backbone_content for folder in (llama, same, qwen3)
    }
    assert len(contents) == 2
