"""A teacher made of the backbone itself, without labels: states of a layer, averaged and whitened on the query log.

The last layers of an LLM are about the next token; an early one is about the words. Averaged over the text, an early one tells
more of the text; where an answer opens, a late one may. Whitening removes what all texts share, which
is most of such a mean. Optionally the layers are first tuned by unsupervised SimCSE (Gao et al. 2021) in a LoRA: two passes of one
text with different dropout are each other's positive, the other texts of the batch the negatives.

``prompt``, ``echo`` and ``plain`` average over everything that is read; ``answer`` over the states of the tokens that open an
answer, where the LLM has read the whole text and is about to say it again (`genzoo.models.baselines`). What a chat template puts
before these is read, but not averaged: it says the same after every text.

The result is a SentenceTransformer of built-in modules: ``Transformer`` (the first layers; its tokenizer wraps every text) ->
``WordWeights`` (only where no more than the opening of an answer is averaged) -> ``Pooling`` (mean) -> ``Dense`` (whitening). So
mteb can measure it like any other model.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util import batch_to_device
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoTokenizer

from genzoo.backbones.depth import shallow_config
from genzoo.backbones.lora import Lora, merge_lora
from genzoo.backbones.tokenizer import FIRST_WORDS, opening_of_an_answer, read_plainly, template_limit
from genzoo.backbones.whole import open_transformer
from genzoo.compute import computing
from genzoo.errors import InputError, TrainingError
from genzoo.files import replace_folder
from genzoo.jobs import report
from genzoo.models.assembly import assemble
from genzoo.models.baselines import untrained_checkpoint
from genzoo.models.prompts import DOCUMENT
from genzoo.recipes.fields import UnsupervisedOptions

BEFORE, AFTER = 'This sentence: "', '" means in one word: "'
RESTATE = DOCUMENT.strip() + "\n"
TEMPERATURE = 0.05
"""Of the SimCSE loss, as in its paper."""
DROPOUT = 0.1


@computing()
def fit_teacher(
    backbone: Path,
    texts: Sequence[str],
    options: UnsupervisedOptions,
    folder: Path,
    *,
    seed: int = 0,
    device: str | None = None,
) -> Path:
    """Fit the teacher on unlabeled texts and write its SentenceTransformer folder, whole or not at all.

    Args:
        backbone: Local folder of the frozen LLM.
        texts: Queries, or any texts of the domain.
        options: Layer, wrapping, whitening, SimCSE.
        folder: Where to.
        seed: Of the choice of texts and of SimCSE.
        device: As in sentence-transformers.

    Raises:
        InputError: For fewer texts than whitened dimensions, a layer that the backbone has not, or too many dimensions.
    """
    chosen = list(texts)
    random.Random(seed).shuffle(chosen)  # noqa: S311 - reproducible choice
    chosen = chosen[: options.fit_texts]
    config = AutoConfig.from_pretrained(backbone).get_text_config()
    check_options(options, config, len(chosen), f"the log has {len(texts):,}")
    modules: list[Any] = make_reader(backbone, options)
    pooled = SentenceTransformer(modules=modules, device=device)
    if options.simcse_steps:
        train_simcse(pooled, chosen, options, seed)
    states = []
    for start in range(0, len(chosen), 256):
        part = chosen[start : start + 256]
        states.append(pooled.encode(part, batch_size=32, convert_to_tensor=True, show_progress_bar=False).cpu())
        report("teacher", start + len(part), len(chosen), "whitening")
    weight, bias = whitening(torch.cat(states), options.whiten, options.power)
    return _save(pooled, weight.float(), bias.float(), folder)


def check_options(options: UnsupervisedOptions, config: Any, n_texts: int, log: str) -> None:
    """Raise `InputError` where a teacher cannot be fitted with these options.

    Args:
        options: Of the teacher.
        config: Of the backbone's text model.
        n_texts: How many texts it would be fitted on.
        log: Where these come from, in words.
    """
    layers, width, batch = config.num_hidden_layers, config.hidden_size, options.simcse_batch
    wrong = ""
    if options.layer > layers:
        wrong = f"unsupervised.layer is {options.layer}, the backbone has layers 1 to {layers}"
    elif options.whiten > width:
        wrong = f"unsupervised.whiten is {options.whiten}, the backbone is {width} wide: give at most that"
    elif n_texts <= options.whiten:
        wrong = f"whitening to {options.whiten} dimensions needs more than {options.whiten} texts, {log}: lower unsupervised.whiten"
    elif options.simcse_steps and n_texts < 2 * batch:
        wrong = f"SimCSE with batches of {batch} needs twice as many texts, {log}: lower unsupervised.simcse_batch"
    if wrong:
        raise InputError(wrong)


def put_together(backbone: Path, options: UnsupervisedOptions, weight: Tensor, bias: Tensor, folder: Path) -> Path:
    """Write the folder of a teacher whose whitening is known: weight ``(D, H)`` and bias ``(D,)``.

    Raises:
        InputError: For a teacher that was tuned by SimCSE: it is more than its backbone and a whitening.
    """
    if options.simcse_steps:
        raise InputError(
            "a teacher that was tuned by SimCSE cannot be put together from its whitening: ship its folder"
        )
    return _save(SentenceTransformer(modules=make_reader(backbone, options), device="cpu"), weight, bias, folder)


def read_whitening(folder: Path) -> tuple[Tensor, Tensor]:
    """Weight ``(D, H)`` and bias ``(D,)`` of a ``Dense`` module's folder, as `fit_teacher` writes it last."""
    tensors = load_file(folder / "model.safetensors")
    return tensors["linear.weight"], tensors["linear.bias"]


def _save(pooled: SentenceTransformer, weight: Tensor, bias: Tensor, folder: Path) -> Path:
    width, dim = weight.shape[1], weight.shape[0]
    dense = Dense(width, dim, activation_function=nn.Identity(), init_weight=weight, init_bias=bias)
    model = SentenceTransformer(modules=[*pooled, dense], similarity_fn_name="cosine", device="cpu")
    with replace_folder(folder) as new:
        model.save_pretrained(str(new), create_model_card=False)
    return folder


def whitening(states: Tensor, dim: int, power: float = 0.5) -> tuple[Tensor, Tensor]:
    """The affine map after which the states have mean 0 and, at the full power of 0.5, the identity as covariance.

    Args:
        states: ``(texts, H)``.
        dim: Principal directions that are kept, largest variance first.
        power: Their variances v become ``v^(1 - 2 power)``.

    Returns:
        Weight ``(dim, H)`` and bias ``(dim,)``.
    """
    states = states.double()
    mean = states.mean(dim=0)
    values, vectors = torch.linalg.eigh((states - mean).T.cov())
    values, vectors = values[-dim:].flip(0), vectors[:, -dim:].flip(1)
    if not bool(values[-1] > 1e-12 * values[0]):
        raise TrainingError(
            f"the texts span fewer than {dim} directions of the backbone's states: give more texts, or lower unsupervised.whiten"
        )
    weight = (vectors / values.pow(power)).T
    return weight, -weight @ mean


def train_simcse(pooled: SentenceTransformer, texts: Sequence[str], options: UnsupervisedOptions, seed: int) -> None:
    """Tune the layers of ``[Transformer, Pooling]`` in place by unsupervised SimCSE; the LoRA is merged at the end.

    Loss (SimCSE eq. 1): ``-log softmax_j(cos(h_i, h'_j) / 0.05)[i]``, where h and h' are two passes of a text under dropout.
    """
    transformer: Any = pooled[0]
    lora = Lora.create(transformer.model, options.simcse_rank, "q_proj,k_proj,v_proj,o_proj", seed)
    lora.to(pooled.device)
    transformer.model.requires_grad_(False)
    rng = random.Random(seed)  # noqa: S311 - reproducible choice
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(lora.parameters(), lr=options.simcse_lr)
    noise = transformer.model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: functional.dropout(output, DROPOUT)
    )
    try:
        with lora.on():
            for step in range(options.simcse_steps):
                batch = rng.sample(list(texts), options.simcse_batch)
                first, second = (_pooled(pooled, batch) for _ in range(2))
                scores = functional.normalize(first) @ functional.normalize(second).T / TEMPERATURE
                loss = functional.cross_entropy(scores, torch.arange(len(batch), device=scores.device))
                if not torch.isfinite(loss):
                    raise TrainingError(f"SimCSE diverged at step {step}: lower unsupervised.simcse_lr")
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                report("teacher", step + 1, options.simcse_steps, "simcse")
    finally:
        noise.remove()
    merge_lora(transformer.model, {key: tensor.to(pooled.device) for key, tensor in lora.tensors().items()})


def _pooled(model: SentenceTransformer, texts: Sequence[str]) -> Tensor:
    return model(batch_to_device(model.preprocess(list(texts)), model.device))["sentence_embedding"]


def teacher_name(backbone_digest: str, options: UnsupervisedOptions, texts: Sequence[str], seed: int) -> str:
    """A name that changes with everything that the teacher is made of; part of every target's key."""
    sha = hashlib.sha256(f"{backbone_digest}\0{options}\0{seed}".encode())
    for text in texts:
        sha.update(text.encode() + b"\0")
    return f"unsupervised-{sha.hexdigest()[:16]}"


def make_reader(backbone: Path, options: UnsupervisedOptions) -> list[nn.Module]:
    """Modules that turn texts into ``(texts, H)`` states; their tokenizer puts the frame around every text by itself.

    The gains of the final norm are taken away: each position only gets unit size.
    """
    kept = shallow_config(AutoConfig.from_pretrained(backbone), options.layer)
    modules = (_answer_modules if options.wrap == "answer" else _text_modules)(backbone, options, kept)
    norm: Any = modules[0].model.norm
    with torch.no_grad():
        # Gemma stores the gain less one.
        norm.weight.fill_(0.0 if "Gemma" in type(norm).__name__ else 1.0)
    return modules


def _text_modules(backbone: Path, options: UnsupervisedOptions, kept: Mapping[str, Any]) -> list[Any]:
    read: dict[str, Any] = {"model_kwargs": {"dtype": torch.float32}, "config_kwargs": dict(kept)}
    module = open_transformer(backbone, options.max_tokens, is_cut=True, **read)
    tokenizer = module.tokenizer
    around = tokenizer("", add_special_tokens=True)["input_ids"]
    before, after = (BEFORE, AFTER) if options.wrap == "prompt" else ("", "")
    frame = {"before": [*around, *_ids(tokenizer, before)], "after": _ids(tokenizer, after)}
    _put_frame(module, frame, 2 if options.wrap == "echo" else 1, options.max_tokens)
    return [module, Pooling(module.model.config.hidden_size, "mean")]


def _answer_modules(backbone: Path, options: UnsupervisedOptions, kept: Mapping[str, Any]) -> list[Any]:
    plain = AutoTokenizer.from_pretrained(backbone)
    split = {}
    if plain.chat_template:
        split = {"n_thought": len(_ids(plain, opening_of_an_answer(plain))), "n_compression": FIRST_WORDS}
    checkpoint = untrained_checkpoint(backbone, options.max_tokens, **split)
    module, _, _, weights, pooling = assemble(checkpoint, backbone, device="cpu")
    transformer: Any = module
    transformer.model.layers = transformer.model.layers[: options.layer]
    for key, value in kept.items():
        setattr(transformer.model.config, key, value)
    frame = {"before": [*plain("")["input_ids"], *_ids(plain, RESTATE)], "after": list(checkpoint.spec.ids)}
    _put_frame(transformer, frame, 1, options.max_tokens)
    return [transformer, weights, pooling]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"] if text else []


def _put_frame(module: Any, frame: Mapping[str, list[int]], times: int, max_tokens: int) -> None:
    """Make the module's tokenizer put every text, so many times, into a frame, and read at most `max_tokens` with it."""
    tokenizer, added = module.tokenizer, sum(map(len, frame.values()))
    module.max_seq_length = template_limit(max_tokens, added, times, what="unsupervised.max_tokens")
    named = {name: ids for name, ids in frame.items() if ids}
    pieces = [f"{piece}:0" for piece in ("before", *["$A"] * times, "after") if piece == "$A" or piece in named]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=pieces,
        special_tokens=[
            {"id": name, "ids": ids, "tokens": [str(tokenizer.convert_ids_to_tokens(token)) for token in ids]}
            for name, ids in named.items()
        ],
    )
    read_plainly(tokenizer)
