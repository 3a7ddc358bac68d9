"""Several processes make the weights that one makes with the whole batch."""

import os
import subprocess
import sys

from conftest_builders import SENTENCES

from genzoo.checkpoint import TokenCheckpoint
from genzoo.training.responses import read_all_responses


def _words(llama, teacher, log, output):
    words = ["smollm2-135m", "--queries", log, "--output", output, "--backbone", llama, "--teacher", teacher]
    changes = ["optim.align_first=2", "optim.clip=0.05", "response.max_new_tokens=4", "losses.recon_share=0.75"]
    words += ["--steps", "8", "--batch", "8", "--device", "cpu", *(word for one in changes for word in ("--set", one))]
    return list(map(str, words))


def test_two_processes_equal_one_with_the_doubled_batch(llama, tiny_teacher, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("\n".join(f"{text} {i}" for i, text in enumerate(SENTENCES * 2)))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1"]
    for starter, output in ((launch, "two"), ([sys.executable], "one")):
        command = [*starter, "-m", "genzoo.training", *_words(llama, tiny_teacher, log, tmp_path / output)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    assert len(list((tmp_path / "two").glob("responses-*-of-2.jsonl"))) == 2
    both = [read_all_responses(tmp_path / name) for name in ("one", "two")]
    assert both[0] == both[1]
    one, two = (TokenCheckpoint.load(tmp_path / name / "checkpoint") for name in ("one", "two"))
    for name, tensor in one.tensors().items():
        assert (tensor - two.tensors()[name]).abs().max() <= 1e-5 * max(1.0, float(tensor.abs().max())), name
    assert (tmp_path / "two" / "tokens" / "history.jsonl").read_text().count("\n") == 8
