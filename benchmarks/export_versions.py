"""Loads exported models with older and newer libraries, and compares their embeddings with genzoo's.

    python benchmarks/export_versions.py              # every environment, every family and form, also the two real small LLMs
    python benchmarks/export_versions.py older --tiny # one environment, tiny random models only

Each environment is a new virtual environment in ``output/export_versions`` (200 MB; torch and whatever a row does not name come from
the environment that runs this). A line is one folder: the largest difference of a number of a float32 embedding (all have
unit length), the largest one of texts that begin or end with blanks, and the smallest cosine in bfloat16 and float16.
The exit status is 1 if a difference is above 1e-5, a folder did not load, or one loaded that older versions must refuse: an adapter
that ends at an exit layer.

Outcomes of 2026-11-29 (Linux x86_64, two cores, Python 3.11.7, torch 2.13.0 on the CPU, peft 0.21.2; ``--tiny``: Llama, Qwen2, Qwen3,
Mistral and Gemma 3 of random weights, each whole and small, with all layers and with the first alone):

* oldest (sentence-transformers 3.4.1, transformers 4.57.6): 15 folders, largest difference 3.9e-07; smallest cosine .99986 in bfloat16,
  1.00000 in float16 (all layers only); the 5 adapters with an exit layer are refused (ModuleNotFoundError). Texts with blanks at an end differ by up to 0.42: versions before 5.4 strip every text.
* older (5.7.0, 4.57.6): 15 folders, 3.9e-07, with blanks 1.8e-07; smallest cosine .99979 in bfloat16, 1.00000 in float16; the same 5 are
  refused (ValueError or ModuleNotFoundError).
* older, real LLMs, whole and small (2026-11-30): SmolLM2-135M 9.3e-07, with blanks 1.1e-06, .99871 in bfloat16, .99998 in float16; Gemma 3
  270M 1.0e-06, with blanks 6.5e-07, .99580 in bfloat16, NaN in float16 (with the first layer alone 1.00000).
* oldest, real LLMs, whole and small (2026-11-30): SmolLM2-135M 9.3e-07, with blanks .071, .99890 in bfloat16, .99998 in float16; Gemma 3
  270M 1.0e-06, with blanks .079, .99906 in bfloat16, NaN in float16.
* newest (6.2.0, 5.24.0): 20 folders, 3.9e-07, with blanks 1.8e-07; .99979 in bfloat16, 1.00000 in float16.
* newest, real LLMs, whole and small: SmolLM2-135M 9.3e-07, with blanks 1.1e-06, .99871 in bfloat16, .99998 in float16; Gemma 3 270M
  1.0e-06, .99580 in bfloat16, and NaN in float16: its states exceed 65,504, the largest number of that type.

* a content policy (2026-11-30; Qwen2 and Gemma 3 of ``--tiny`` have one): the same bounds with all three, largest difference 3.6e-07;
  smallest cosine .99960 in bfloat16, .99999 in float16.

What was tried before and why it is not written: ``Dense`` after a ``WordWeights`` loads everywhere in float32 and fails in bfloat16 and
float16 with 3.4.1, 5.7.0 and 6.2.0 ("mat1 and mat2 must have the same dtype"); a policy's follow the pooling of the last token. Without
``rope_theta`` beside ``rope_parameters``, transformers 4 takes 10,000. A ``config.json`` in the folder of an adapter makes transformers 5 look for whole weights there; without one, transformers 4 asks
for the kind of model unless the tokenizer's settings name a processor. Without ``key_mapping``, transformers 4 gives the backbone of a Gemma 3
adapter random weights. sentence-transformers 5.7 runs all layers of an adapter's backbone, whatever ``config_kwargs`` say.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from subprocess import PIPE

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = {
    "oldest": ("sentence-transformers==3.4.1", "transformers==4.57.6", "datasets==4.0.0"),
    "older": ("sentence-transformers==5.7.0", "transformers==4.57.6", "datasets==4.0.0"),
    "newest": ("sentence-transformers==6.2.0", "transformers==5.24.0"),
}
FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "gemma3_text")
WITH_POLICY = ("qwen2", "gemma3_text")
REAL = ("smollm2-135m", "gemma3-270m")
TEXTS = ["where do polar bears live", "the quick brown fox " * 200, "café 東京 🙂", "<|im_start|> <|gen_0|> a"]
BLANKS = ["", " two  spaces ", "a line\nand another\n"]
BOUND = 1e-5

# Run with the Python of an environment, where there is no genzoo.
LOAD = """
import json, sys
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

def embed(folder, texts, **options):
    return SentenceTransformer(folder, device="cpu", **options).encode(texts)

def cosines(found, expected):
    found = found.astype(np.float64)
    return (found * expected).sum(1) / np.linalg.norm(found, axis=1)

for line in sys.stdin:
    label, folder, texts, n_plain, expected = json.loads(line)
    expected = np.array(expected)
    try:
        gaps = np.abs(embed(folder, texts) - expected).max(axis=1)
        halves = [float(cosines(embed(folder, texts[:n_plain], model_kwargs={"torch_dtype": dtype}), expected[:n_plain]).min())
                  for dtype in (torch.bfloat16, torch.float16)]
        print(json.dumps([label, gaps.tolist(), halves]), flush=True)
    except Exception as error:
        print(json.dumps([label, f"{type(error).__name__}: {str(error)[:300]}", None]), flush=True)
"""


def export_all(work: Path, families: list[str]) -> list[tuple[str, str, list[str], int, list[list[float]]]]:
    """Label, folder, texts, how many of them neither begin nor end with blanks, and the embeddings that genzoo's own forward pass gives, of every family and form."""
    from conftest_builders import build_backbone, build_checkpoint

    from genzoo.backbones.entries import fetch_backbone
    from genzoo.backbones.forward import pack
    from genzoo.backbones.older import name_rope_as_before
    from genzoo.models.assembly import assemble
    from genzoo.models.exported import export
    from genzoo.models.loading import find_checkpoint

    rows = []
    for family in families:
        if family in REAL:
            checkpoint = dataclasses.replace(find_checkpoint(family), unit_length=True)
            backbone = work / f"backbone-{family}"
            if not backbone.is_dir():
                shutil.copytree(fetch_backbone(family), backbone, copy_function=os.symlink)
        else:
            theta = {} if family == "gemma3_text" else {"rope_parameters": {"rope_type": "default", "rope_theta": 1e5}}
            backbone = build_backbone(work / f"backbone-{family}", family, **theta)
            checkpoint = build_checkpoint(backbone, has_policy=family in WITH_POLICY)
        name_rope_as_before(backbone)  # as on the Hub: an adapter reads its backbone's own config.json
        for layer in (0, checkpoint.exit_layer or 1):
            checkpoint = dataclasses.replace(checkpoint, exit_layer=layer)
            ours = pack(assemble(checkpoint, backbone, device="cpu"), len(checkpoint.spec)).encode(TEXTS + BLANKS)
            for form in ("merged", "adapter"):
                # by number: transformers 4 takes a family's name in a path for the kind of model
                folder = export(checkpoint, backbone, work / f"m{len(rows)}", form, name=family)
                label = f"{family}{f', layer {layer}' if layer else ''}, {form}"
                rows.append((label, str(folder), TEXTS + BLANKS, len(TEXTS), ours.tolist()))
    return rows


def make_environment(folder: Path, requirements: tuple[str, ...]) -> Path:
    """Python of a virtual environment of these versions, made where it is not there; the rest is that of the running one."""
    python = folder / "bin" / "python"
    mark = folder / "ready"
    if not mark.is_file():
        venv.create(folder, with_pip=True, clear=True)
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "shared.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        mark.touch()
    return python


def main() -> int:
    """Export, load everywhere, print a line for each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT", help=", ".join(ENVIRONMENTS))
    parser.add_argument("--tiny", action="store_true", help="without the two real LLMs")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    work = ROOT / "output" / "export_versions"
    work.mkdir(parents=True, exist_ok=True)
    rows = export_all(work, [*FAMILIES, *(() if options.tiny else REAL)])
    said = "".join(json.dumps(row) + "\n" for row in rows)
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}
    is_wrong = False
    for name in options.environments or ENVIRONMENTS:
        python = make_environment(work / f"env-{name}", ENVIRONMENTS[name])
        print(f"{name}: {', '.join(ENVIRONMENTS[name])}", flush=True)
        with subprocess.Popen([python, "-c", LOAD], stdin=PIPE, stdout=PIPE, text=True, env=quiet) as process:
            process.stdin.write(said)
            process.stdin.close()
            for line in process.stdout:
                label, gaps, halves = json.loads(line)
                refuses = "layer" in label and "adapter" in label and name != "newest"
                is_wrong |= refuses != isinstance(gaps, str) or (not refuses and max(gaps[: len(TEXTS)]) > BOUND)
                print(f"  {label:32} {gaps if isinstance(gaps, str) else figures(gaps, halves)}", flush=True)
        is_wrong |= process.returncode != 0
    return int(is_wrong)


def figures(gaps: list[float], halves: list[float]) -> str:
    """One folder's figures in a line."""
    plain, blank = max(gaps[: len(TEXTS)]), max(gaps[len(TEXTS) :])
    return f"{plain:.1e}  blanks {blank:.1e}  bfloat16 {halves[0]:.5f}  float16 {halves[1]:.5f}"


if __name__ == "__main__":
    sys.exit(main())
