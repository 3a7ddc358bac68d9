"""Responses: shards, engines, the options of a folder, and a process that is killed at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import pytest
from conftest_builders import ON_A_TINY_LLM, SENTENCES, TINY_LLM_WORDS, build_backbone
from transformers import AutoModelForCausalLM, AutoTokenizer

from genzoo.backbones.entries import BACKBONES, backbone_content, backbone_digest
from genzoo.backbones.generation import Query, Response, TransformersEngine, VllmEngine, chat_text, make_engine
from genzoo.errors import InputError, TrainingError
from genzoo.jobs import Shard, reporting_to
from genzoo.recipes.fields import SAFETY_PROMPT, ResponseOptions
from genzoo.training import plan
from genzoo.training.responses import (
    answer_facts,
    changes,
    check_options,
    generate_responses,
    options_digest,
    read_all_responses,
    read_responses,
    write_responses,
)

QUERIES = [Query(f"q{i}", f"{text} {i}") for i, text in enumerate(SENTENCES * 3)]


class Parrot:
    """An engine that repeats the query."""

    def __init__(self):
        self.sizes = []

    def answer(self, queries):
        self.sizes.append([len(query.text) for query in queries])
        return [Response(query.id, query.text, query.text.upper(), "stop", 3) for query in queries]


def _fail():
    pytest.fail("loaded the engine")


def test_shards_make_the_whole_and_nothing_twice(tmp_path):
    for number in (3, 1, 2):
        made = generate_responses(QUERIES, tmp_path, Parrot, 4, Shard(number, 3))
    assert made == generate_responses(QUERIES, tmp_path, _fail)
    assert [row.query for row in made] == [query.text for query in QUERIES]
    rows = [row.id for path in tmp_path.glob("responses-*.jsonl") for row in read_responses(path)]
    assert sorted(rows) == sorted(query.id for query in QUERIES)


def test_a_whole_run_goes_on_with_what_shards_left(tmp_path):
    generate_responses(QUERIES, tmp_path, Parrot, 4, Shard(2, 3))
    generate_responses(QUERIES, tmp_path, Parrot, 4)
    rows = [row.id for path in tmp_path.glob("responses*.jsonl") for row in read_responses(path)]
    assert sorted(rows) == sorted(query.id for query in QUERIES)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_bad_shards(text):
    with pytest.raises(InputError, match="is not a shard: write i/n"):
        Shard.parse(text)


def test_batches_are_of_like_length_and_progress_tells_the_speed(tmp_path):
    engine, told = Parrot(), []
    with reporting_to(lambda stage, *words: told.append(words)):
        generate_responses(QUERIES, tmp_path, lambda: engine, 8, None)
    assert sum(map(len, engine.sizes)) == len(QUERIES)
    spread = [max(sizes) - min(sizes) for sizes in engine.sizes]
    whole = [len(query.text) for query in QUERIES]
    assert max(spread) < max(whole) - min(whole)
    assert [done for done, _, _ in told] == [0, 8, 16, 24, 32, 40, 48]
    assert told[-1][2].endswith("tokens/s")


def test_two_writers_of_one_file_are_refused(tmp_path):
    class Rude(Parrot):
        def answer(self, queries):
            with pytest.raises(TrainingError, match=r"another process is writing .*--shard 1/2"):
                generate_responses(QUERIES, tmp_path, Parrot)
            return super().answer(queries)

    assert len(generate_responses(QUERIES, tmp_path, Rude, 48)) == len(QUERIES)


def test_full_disk_keeps_what_was_written(tmp_path, monkeypatch):
    from genzoo.training import responses

    class Full:
        """Takes half of the second batch."""

        left = 600

        def __init__(self, file):
            self.file, self.name = file, file.name

        def write(self, data):
            if Full.left == 0:
                raise OSError(28, "No space left on device")
            count = self.file.write(bytes(data)[: Full.left])
            Full.left -= count
            return count

        def fileno(self):
            return self.file.fileno()

    append = responses.append
    monkeypatch.setattr(responses, "append", lambda file, data: append(Full(file), data))
    with pytest.raises(
        TrainingError, match=r"responses\.jsonl.*No space left on device: free some space; then run the same"
    ):
        generate_responses(QUERIES, tmp_path, Parrot, 4)
    assert (tmp_path / "responses.jsonl").stat().st_size == 600
    monkeypatch.setattr(responses, "append", append)
    assert len(generate_responses(QUERIES, tmp_path, Parrot, 4)) == len(QUERIES)
    assert len(read_responses(tmp_path / "responses.jsonl")) == len(QUERIES)


def test_responses_of_other_options_are_not_mixed(tmp_path):
    check_options(tmp_path, {"system prompt": None, "longest": 4})
    check_options(tmp_path, {"system prompt": None, "longest": 5})  # nothing was answered yet
    write_responses(tmp_path / "responses.jsonl", Parrot().answer(QUERIES[:2]))
    check_options(tmp_path, {"system prompt": None, "longest": 5})
    with pytest.raises(TrainingError, match=r"system prompt None, now 'Be brief\.'"):
        check_options(tmp_path, {"system prompt": "Be brief.", "longest": 5})


def test_responses_of_unknown_options_are_taken_once_and_said(tmp_path, notes):
    write_responses(tmp_path / "responses.jsonl", Parrot().answer(QUERIES[:2]))
    (tmp_path / "responses.json").write_text('{"longest": 7}')
    for _ in range(2):
        check_options(tmp_path, {"longest": 7, "engine": "transformers"})
    assert len(notes) == 1
    assert "nothing says with which engine they were made" in notes[0]
    assert json.loads((tmp_path / "responses.json").read_text())["assumed"] == ["engine"]
    with pytest.raises(TrainingError, match="engine 'transformers', now 'vllm'"):
        check_options(tmp_path, {"longest": 7, "engine": "vllm"})


FACTS = answer_facts("org/name", "0" * 16, ResponseOptions())


@pytest.mark.parametrize(
    ("changes", "is_other"),
    [
        ({"repetition_penalty": 1.1}, True),
        ({"temperature": 0.7}, True),
        ({"temperature": 0.7, "top_p": 0.9}, True),
        ({"top_p": 0.9}, False),  # greedy: nothing is drawn
        ({"engine": "vllm"}, True),
        ({"precision": "float32"}, True),
        ({"max_new_tokens": 65}, True),
        ({"system_prompt": "safety"}, True),
        ({"limit": 7}, False),
    ],
)
def test_whatever_changes_an_answer_is_part_of_its_key(tmp_path, changes, is_other):
    facts = answer_facts("org/name", "0" * 16, replace(ResponseOptions(), **changes))
    assert (options_digest(facts) != options_digest(FACTS)) == is_other
    check_options(tmp_path, FACTS)
    generate_responses(QUERIES[:4], tmp_path, Parrot, 4, Shard(1, 2), made_with=options_digest(FACTS))
    if not is_other:
        check_options(tmp_path, facts)
        generate_responses(QUERIES[:4], tmp_path, Parrot, 4, Shard(2, 2), made_with=options_digest(facts))
        return
    with pytest.raises(TrainingError, match="made with another setting"):
        check_options(tmp_path, facts)
    with pytest.raises(TrainingError, match="2 of 2 responses that were made with other settings"):
        generate_responses(QUERIES[:4], tmp_path, _fail, 4, Shard(2, 2), made_with=options_digest(facts))


def test_shards_that_were_made_apart_are_not_mixed(tmp_path):
    """Copied into one folder: each line says with what it was made, whatever became of responses.json."""
    other = options_digest(answer_facts("org/name", "1" * 16, ResponseOptions()))
    for number, stamp in ((1, options_digest(FACTS)), (2, other)):
        generate_responses(QUERIES, tmp_path / str(number), Parrot, 8, Shard(number, 2), made_with=stamp)
        name = f"responses-{number}-of-2.jsonl"
        (tmp_path / name).write_bytes((tmp_path / str(number) / name).read_bytes())
    with pytest.raises(TrainingError, match=r"responses-2-of-2\.jsonl holds 24 of 24 responses"):
        generate_responses(QUERIES, tmp_path, _fail, made_with=options_digest(FACTS))
    (tmp_path / "responses-2-of-2.jsonl").unlink()
    assert len(generate_responses(QUERIES, tmp_path, Parrot, made_with=options_digest(FACTS))) == len(QUERIES)


def test_a_backbone_is_known_by_its_content(tmp_path):
    folders = [build_backbone(tmp_path / name, "llama") for name in ("one", "two")]
    contents = {backbone_content(folder, backbone_digest(folder)) for folder in folders}
    assert len(contents) == 1
    for name in ("tokenizer.json", "chat_template.jinja", "config.json"):
        path = folders[1] / name
        path.write_text(path.read_text() + "\n")
        contents.add(backbone_content(folders[1], backbone_digest(folders[1])))
    assert len(contents) == 4
    assert backbone_content(folders[0], "other weights") not in contents
    # The name is for people: a folder that was moved is the same backbone, one that took its name is not.
    moved, other = (answer_facts(name, content, ResponseOptions()) for name, content in (("b", "x"), ("a", "y")))
    before = answer_facts("a", "x", ResponseOptions())
    assert changes(before, moved) == []
    assert changes(before, other) == ["backbone content 'x', now 'y'"]


@pytest.mark.parametrize("line", ['{"query": 5}', '{"response": null}', '{"n_tokens": "many"}', "[1]"])
def test_responses_of_the_wrong_kind_are_named(tmp_path, line):
    whole = {"id": "a", "query": "q", "response": "r", "finish_reason": "stop", "n_tokens": 1}
    made = json.loads(line)
    text = json.dumps(whole | made) if isinstance(made, dict) else line
    (tmp_path / "responses.jsonl").write_text(json.dumps(whole) + "\n" + text)
    with pytest.raises(TrainingError, match="line 2 is damaged"):
        read_responses(tmp_path / "responses.jsonl")


def test_system_prompt_reaches_every_kind_of_backbone(llama, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(llama)
    assert ResponseOptions(system_prompt="safety").system_text == SAFETY_PROMPT
    assert "system\nBe brief." in chat_text(tokenizer, "why?", "Be brief.")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "[INST] {{ m['content'] }} [/INST]{% endfor %}"
    )
    assert chat_text(tokenizer, "why?", "Be brief.") == "[INST] Be brief.\n\nwhy? [/INST]"
    tokenizer.chat_template = "{% for m in messages if m['role'] == 'user' %}<{{ m['content'] }}>{% endfor %}"
    assert chat_text(tokenizer, "why?", "Be brief.") == "<Be brief.\n\nwhy?>"
    tokenizer.chat_template = None
    assert chat_text(tokenizer, "why?", "Be brief.") == "Be brief.\n\nQuestion: why?\nAnswer:"


def test_sampled_responses_are_the_same_again(llama, tmp_path):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(llama), AutoTokenizer.from_pretrained(llama)
    sampled = TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=6, temperature=1.5))
    greedy = TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=6))
    assert sampled.answer(QUERIES[:4]) == sampled.answer(QUERIES[:4])
    assert sampled.answer(QUERIES[:4]) != greedy.answer(QUERIES[:4])


def test_repeated_tokens_can_be_made_less_likely(llama):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(llama), AutoTokenizer.from_pretrained(llama)
    plain, made = model.generate, []

    def generate(**options):
        made.append(plain(**options)[:, -24:])
        return made[-1]

    model.generate = generate
    for penalty in (1.0, 1e6):
        TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=24, repetition_penalty=penalty)).answer(
            QUERIES[:4]
        )
    repeated = [sum(24 - len(set(row)) for row in rows.tolist()) for rows in made]
    assert repeated[0] > 0
    assert repeated[1] == 0


def test_padding_behind_an_ended_answer_is_not_counted(llama):
    """A base model's answer ends with a stop string; the batch goes on until the others have ended too."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(llama), AutoTokenizer.from_pretrained(llama)
    tokenizer.chat_template, tokenizer.pad_token = None, "<pad>" if "<pad>" in tokenizer.get_vocab() else None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(7)
    wanted = tokenizer("Because.")["input_ids"]

    def generate(input_ids, **options):
        import torch

        longest = [[*wanted, *[tokenizer.pad_token_id] * 9], [20 + place for place in range(len(wanted) + 9)]]
        return torch.cat([input_ids, torch.tensor(longest)], dim=1)

    model.generate = generate
    ended, other = TransformersEngine(model, tokenizer, ResponseOptions()).answer(QUERIES[:2])
    assert (ended.n_tokens, ended.finish_reason) == (len(wanted), "stop")
    assert (other.n_tokens, other.finish_reason) == (len(wanted) + 9, "length")


@pytest.mark.parametrize(
    ("options", "n_parameters", "ratio", "expected"),
    [
        (ResponseOptions(), 135_000_000, 4.0, True),
        (ResponseOptions(), 135_000_000, 1.1, False),  # a processor without bfloat16 products
        (ResponseOptions(), 1_000_000, 4.0, False),
        (ResponseOptions(precision="float32"), 135_000_000, 4.0, False),
    ],
)
def test_answers_in_bfloat16_where_it_pays(monkeypatch, options, n_parameters, ratio, expected):
    speeds = {"float32": 1e11, "bfloat16": ratio * 1e11}
    monkeypatch.setattr(plan, "measure_speed", lambda device=None, dtype="float32": speeds[dtype])
    row = replace(BACKBONES.get("smollm2-135m"), n_parameters=n_parameters)
    assert plan.answers_in_bfloat16(options, row) is expected
    assert not plan.answers_in_bfloat16(options, None)


def test_vllm_is_an_extra(llama, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(TrainingError, match=r"pip install 'genzoo\[vllm\]'"):
        make_engine(ResponseOptions(engine="vllm"), lambda: llama, lambda: pytest.fail("loaded the model"))


def test_vllm_writes_the_same_records(llama, monkeypatch):
    """Against a stand-in with vLLM's interface that decodes with the same model."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(llama), AutoTokenizer.from_pretrained(llama)

    class LLM:
        def __init__(self, model, generation_config):
            assert Path(model) == llama
            assert generation_config == "vllm"  # not the folder's own

        def generate(self, prompts, sampling, use_tqdm):
            import torch

            rows = []
            for prompt in prompts:
                ids = torch.tensor([prompt["prompt_token_ids"]])
                made = model.generate(ids, max_new_tokens=sampling.max_tokens, do_sample=False, pad_token_id=0)
                new = made[0, ids.shape[1] :].tolist()
                stopped = new[-1] == model.generation_config.eos_token_id
                text = tokenizer.decode(new[:-1] if stopped else new, skip_special_tokens=True)
                reason = "stop" if stopped else "length"
                one = types.SimpleNamespace(text=text, token_ids=new[:-1] if stopped else new, finish_reason=reason)
                rows.append(types.SimpleNamespace(outputs=[one]))
            return rows

    fake = types.ModuleType("vllm")
    fake.LLM, fake.SamplingParams = LLM, lambda **options: types.SimpleNamespace(**options)
    monkeypatch.setitem(sys.modules, "vllm", fake)
    options = ResponseOptions(max_new_tokens=5)
    mine = VllmEngine(llama, tokenizer, options).answer(QUERIES[:3])
    assert mine == [TransformersEngine(model, tokenizer, options).answer([query])[0] for query in QUERIES[:3]]
    assert VllmEngine(llama, tokenizer, options).sampling.stop_token_ids == [model.generation_config.eos_token_id]


def test_a_base_models_next_question_is_cut_off(tmp_path):
    from genzoo.backbones.generation import make_response

    row = make_response(Query("a", "why?"), " Because.\nQuestion: and then?\nAnswer: no", False, 12)
    assert (row.response, row.finish_reason) == ("Because.", "stop")


KILLED = """
import json, os, random, signal, sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
import torch
torch.set_num_threads(1)
from transformers import AutoModelForCausalLM, AutoTokenizer
from genzoo.recipes.fields import ResponseOptions
from genzoo.backbones.entries import backbone_content
from genzoo.training.responses import answer_facts
from genzoo.backbones.generation import TransformersEngine
from genzoo.training.queries import Query
from genzoo.training.responses import generate_responses, read_all_responses

backbone, folder = Path(sys.argv[1]), Path(sys.argv[2])
queries = [Query(str(i), f"question number {{i}}") for i in range(48)]
engine = TransformersEngine(
    AutoModelForCausalLM.from_pretrained(backbone), AutoTokenizer.from_pretrained(backbone), ResponseOptions(max_new_tokens=3)
)
began = time.perf_counter()
whole = generate_responses(queries, folder / "whole", lambda: engine, 4)
length, rng = time.perf_counter() - began, random.Random(0)
trials = []
for trial in range(20):
    place = folder / str(trial)
    number = rng.choice((signal.SIGKILL, signal.SIGTERM))
    child = os.fork()
    if child == 0:
        generate_responses(queries, place, lambda: engine, 4)
        os._exit(0)
    time.sleep(rng.uniform(0, length))
    os.kill(child, number)
    os.waitpid(child, 0)
    before = len(read_all_responses(place))
    # Lock files of the dead hold nobody up.
    after = generate_responses(queries, place, lambda: engine, 4)
    lines = [json.loads(line)["id"] for line in (place / "responses.jsonl").read_text().splitlines()]
    trials.append({{"before": before, "equal": after == whole, "ids": sorted(lines) == sorted(q.id for q in queries)}})
print(json.dumps(trials))
"""


def test_killed_at_twenty_random_moments(llama, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(tests=str(Path(__file__).parents[2])))
    done = subprocess.run(
        [sys.executable, script, llama, tmp_path],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
    )
    trials = json.loads(done.stdout.splitlines()[-1])
    assert len(trials) == 20
    assert all(trial["equal"] and trial["ids"] for trial in trials)
    # The moments were spread: some before the first record, some in the middle.
    assert len({trial["before"] for trial in trials}) > 3


def test_terminated_training_goes_on(tmp_path, llama, tiny_teacher):
    """SIGTERM to the real command in the middle of token training; the second call ends with the same weights."""
    log = tmp_path / "log.txt"
    log.write_text("\n".join(query.text for query in QUERIES))
    words = [sys.executable, "-m", "genzoo.training", "smollm2-135m", "-q", log, "--backbone", llama]
    words += ["--teacher", tiny_teacher, "--steps", "60", "--batch", "2", "--set", "response.max_new_tokens=3"]
    words += [*TINY_LLM_WORDS, "-o"]
    child = subprocess.Popen([*words, tmp_path / "cut"], stderr=subprocess.PIPE, text=True)
    history = tmp_path / "cut" / "tokens" / "history.jsonl"
    while child.poll() is None and not (history.is_file() and history.read_text().count("\n") >= 5):
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate()
    assert child.returncode == 130
    assert "run the same command to go on" in " ".join(errors.split())
    assert not (tmp_path / "cut" / "checkpoint").exists()
    from genzoo.training.pipeline import TrainingRun
    from genzoo.training.queries import read_queries
    from genzoo.training.run import choose_recipe

    changes = ON_A_TINY_LLM | {"response.max_new_tokens": 3}
    recipe = choose_recipe("smollm2-135m", changes, backbone=str(llama), teacher=str(tiny_teacher), steps=60, batch=2)
    digests = [
        TrainingRun(recipe, read_queries(log), tmp_path / n, device="cpu").train().digest() for n in ("cut", "new")
    ]
    assert digests[0] == digests[1]


def test_left_padding_and_no_bos_answer_like_single_queries(tmp_path):
    for family, options in {"gemma3_text": {"chat": False}, "qwen2": {"bos": False}}.items():
        folder = build_backbone(tmp_path / family, family, tied=True, **options)
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        engine = TransformersEngine(model, tokenizer, ResponseOptions(max_new_tokens=4))
        assert engine.answer(QUERIES[:4]) == [engine.answer([query])[0] for query in QUERIES[:4]]
        assert read_all_responses(tmp_path) == {}
