"""Several processes make the weights that one makes with the whole batch."""

import os
import subprocess
import sys

from conftest_builders import ON_A_TINY_LLM, SENTENCES, TINY_LLM_WORDS

from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.recipes.recipes import parse_change
from genzoo.training.pipeline import TrainingRun
from genzoo.training.queries import read_queries
from genzoo.training.responses import read_all_responses
from genzoo.training.run import choose_recipe

CHANGES = ["optim.align_first=2", "optim.clip=0.05", "response.max_new_tokens=4", "losses.recon_share=0.75"]


def test_two_processes_equal_one_with_the_doubled_batch(llama, tiny_teacher, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("\n".join(f"{text} {i}" for i, text in enumerate(SENTENCES * 2)))
    # accelerate's --cpu starts several processes through MPI only; --multi_gpu means torchrun, and --device cpu then gloo.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    words = [
        "smollm2-135m",
        "--queries",
        log,
        "--output",
        tmp_path / "two",
        "--backbone",
        llama,
        "--teacher",
        tiny_teacher,
    ]
    words += [
        "--steps",
        "8",
        "--batch",
        "8",
        "--device",
        "cpu",
        *(word for one in CHANGES for word in ("--set", one)),
        *TINY_LLM_WORDS,
    ]
    command = [*launch, "-m", "genzoo.training", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(list((tmp_path / "two").glob("responses-*-of-2.jsonl"))) == 2
    recipe = choose_recipe(
        "smollm2-135m",
        dict(map(parse_change, CHANGES)) | ON_A_TINY_LLM,
        backbone=str(llama),
        teacher=str(tiny_teacher),
        steps=8,
        batch=8,
    )
    one = TrainingRun(recipe, read_queries(log), tmp_path / "one", device="cpu").train()
    assert read_all_responses(tmp_path / "one") == read_all_responses(tmp_path / "two")
    two = TokenCheckpoint.load(tmp_path / "two" / "checkpoint")
    for name, tensor in one.tensors().items():
        assert (tensor - two.tensors()[name]).abs().max() <= 1e-5 * max(1.0, float(tensor.abs().max())), name
    assert (tmp_path / "two" / "tokens" / "history.jsonl").read_text().count("\n") == 8
    assert "controls" in two.info
