"""Models that are whole: every weight comes from the files, the tokenizer fits, and different texts get different embeddings.

transformers and peft report weights that are missing or that fit nowhere, and go on with random numbers. Inside
`whole_models` such a report is an error, whatever loads the model: genzoo, sentence-transformers, mteb, or code of a repository.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genzoo.errors import CheckpointError, ZooError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


SMALLEST_SHARE = 0.5
"""Of an embedding matrix's rows, the share that its tokenizer must know. Matrices are padded, by at most 3 % in the families that
we know (Phi-2: 50,295 tokens for 51,200 rows); a tokenizer that was built without files knows between 1 and 260 tokens."""
PADDED_TO = 128
"""The largest number whose multiples matrices are commonly padded to; of a small vocabulary of characters, bases or amino acids, that
may be the larger part. `check_embeddings` sees what such a size cannot tell."""
PAIRS = (
    ("where do polar bears live", "how is red wine made"),
    ("北极熊生活在哪里", "红酒是怎么酿成的"),
    ("где живут белые медведи", "как делают красное вино"),
    ("MKTAYIAK", "GSHMLEDP"),
    ("7 1 8", "2 9 4"),
)
"""Different texts that a tokenizer without a vocabulary reads alike; of several scripts, since a model may know only one."""
OTHER_NAMES_OF_DOCUMENT = ("passage", "corpus")
"""Of a model's prompts, those that sentence-transformers means to use for documents where there is none called ``document``."""
_COMPUTED = re.compile(r"(^|\.)(position_ids|inv_freq|token_type_ids|masked_bias|num_batches_tracked)$")
"""Buffers that a model computes when it is built: older files hold them, newer ones do not."""
_OPTIONAL = re.compile(r"(^|\.)(pooler\.|masked_spec_embed$|mask_token$)")
"""Weights that most embedders never read, and that are often not saved."""

_HEADS = re.compile(r"(^|\.)(lm_head|score|classifier|cls)\.")
"""Parts of a model that an embedder does without, so that an adapter's weights for them fit nowhere."""
_SHARED = re.compile("vblora_vector_bank|prompt_encoder|tinylora_v")
"""Weights of adapters that are kept once and named in every layer; peft leaves them out of its own warning."""

_wanted: ContextVar[Literal["anything", "whole", "cut"]] = ContextVar("whole_models", default="anything")


@contextmanager
def whole_models(*, is_cut: bool = False) -> Iterator[None]:
    """Inside the block, a model or adapter that does not load in full raises `CheckpointError`.

    Args:
        is_cut: The caller reads fewer layers than the files hold on purpose, so that the weights of the others fit nowhere.
    """
    _watch()
    before = _wanted.set("cut" if is_cut else "whole")
    try:
        yield
    finally:
        _wanted.reset(before)


@contextmanager
def reading(source: str | Path, *, is_cut: bool = False) -> Iterator[None]:
    """`whole_models` for one model: whatever its files make the libraries raise becomes a `CheckpointError` that names it."""
    from safetensors import SafetensorError
    from torch import OutOfMemoryError

    try:
        with whole_models(is_cut=is_cut):
            yield
    except (ZooError, OutOfMemoryError):
        raise
    except (
        ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, ImportError, OSError, SafetensorError
    ) as error:  # fmt: skip
        first = " ".join(" ".join(str(error).splitlines()[:2]).split())[:200] or type(error).__name__
        why = (
            "a file is missing, damaged or of another version; save the model again, or fetch it again"
            if Path(source).exists()
            else "check the name and the connection to the Hub"
        )
        raise CheckpointError(f"{source} cannot be loaded ({first}): {why}") from error


def open_sentence_transformer(source: str | Path, **options: Any) -> SentenceTransformer:
    """A SentenceTransformer of a folder or of the Hub that is known to be whole.

    Args:
        source: Folder, or ``org/name``.
        options: Those of ``SentenceTransformer``, such as ``revision`` and ``device``.

    Raises:
        CheckpointError: When it cannot be loaded, or not in full.
    """
    from sentence_transformers import SentenceTransformer

    with reading(source), _real_activations(source), whole_models(is_cut=_reads_fewer_layers(source, options)):
        model = SentenceTransformer(str(source), **options)
    check_tokenizers(model, source)
    model.prompts = with_document_prompt(model.prompts)
    return model


def _reads_fewer_layers(source: str | Path, options: Mapping[str, Any]) -> bool:
    """Whether a SentenceTransformer says on purpose that it runs fewer layers than the files of its backbone hold."""
    from sentence_transformers.base.modules import Transformer

    where = {
        name: options[name] for name in ("revision", "token", "cache_folder", "local_files_only") if name in options
    }
    return "num_hidden_layers" in Transformer.load_config(str(source), **where).get("config_kwargs", {})


def with_document_prompt(prompts: Mapping[str, str | None]) -> dict[str, str | None]:
    """A model's prompts, with the one for documents under ``document`` too where its author called it otherwise.

    sentence-transformers documents the names ``passage`` and ``corpus``, but gives every model an empty ``document`` prompt, which
    it then prefers; mteb knows ``document`` alone.

    >>> with_document_prompt({"query": "query: ", "document": "", "passage": "passage: "})["document"]
    'passage: '
    """
    meant = next(filter(None, (prompts.get(name) for name in ("document", *OTHER_NAMES_OF_DOCUMENT))), None)
    return dict(prompts) | ({"document": meant} if meant else {})


@contextmanager
def _real_activations(source: str | Path) -> Iterator[None]:
    """Refuse a ``Dense`` module whose activation is code of the repository: sentence-transformers puts tanh in its place."""
    seen: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sentence_transformers.base.modules.dense")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if replaced := [text for text in seen if "falling back" in text]:
        raise CheckpointError(
            f"{source} has a Dense module whose activation is not part of torch and would be replaced by another "
            f"({replaced[0].split(',')[0]}): ask the author for a model of built-in parts"
        )


def load_causal_lm(folder: str | Path, device: str | None = None, dtype: Any = "float32") -> tuple[Any, Any]:
    """The causal LM of a folder, in evaluation mode, and its tokenizer.

    Args:
        folder: Of the backbone.
        device: Where to compute; the GPU where there is one.
        dtype: As transformers takes it. bfloat16 gradients of the trained tokens proved useless on small backbones.

    Raises:
        CheckpointError: When it cannot be loaded, or not in full.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with reading(folder):
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    check_tokenizer(tokenizer, model.get_input_embeddings().num_embeddings, folder)
    return model.eval().to(device or ("cuda" if torch.cuda.is_available() else "cpu")), tokenizer


def open_tokenizer(folder: str | Path) -> Any:
    """The tokenizer of a causal LM that another engine loads, known to fit its embedding matrix.

    Raises:
        CheckpointError: When it cannot be loaded or belongs to another model.
    """
    from transformers import AutoConfig, AutoTokenizer

    with reading(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        rows = AutoConfig.from_pretrained(folder).get_text_config().vocab_size
    check_tokenizer(tokenizer, rows, folder)
    return tokenizer


def open_transformer(
    backbone: str | Path, max_tokens: int, kind: Any = None, *, is_cut: bool = False, **options: Any
) -> Any:
    """The first module of a SentenceTransformer, which reads plain texts without a chat template, from a backbone's folder.

    Args:
        backbone: Folder of the backbone.
        max_tokens: Longest input.
        kind: A class made of sentence-transformers' ``Transformer``, if not that itself.
        is_cut: As in `whole_models`.
        options: Those of the class, such as ``model_kwargs``.
    """
    from sentence_transformers.base.modules import Transformer

    with reading(backbone, is_cut=is_cut):
        module = (kind or Transformer)(
            str(backbone),
            max_seq_length=max_tokens,
            # WordWeights needs the attention mask, which unpadded inputs lack.
            unpad_inputs=False,
            # Said outright, or a backbone with a chat template would wrap every text in it.
            modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            module_output_name="token_embeddings",
            **options,
        )
    check_tokenizers(module, backbone)
    module.tokenizer.chat_template = None
    return module


@cache
def _watch() -> None:
    """Have the libraries' reports read before they are logged. Put in place once; without `whole_models` nothing changes."""
    import peft
    import transformers.integrations.peft as adapters
    import transformers.modeling_utils as models

    models.log_state_dict_report = _read_first(models.log_state_dict_report, is_adapter=False)
    adapters.log_state_dict_report = _read_first(adapters.log_state_dict_report, is_adapter=True)
    load_adapter = peft.PeftModel.load_adapter

    @wraps(load_adapter)
    def checked(self: Any, model_id: Any, *args: Any, **options: Any) -> Any:
        result = load_adapter(self, model_id, *args, **options)
        if _wanted.get() != "anything":
            absent = sorted(name for name in result.missing_keys if not _SHARED.search(name))
            _refuse(str(model_id), absent, _without_heads(result.unexpected_keys), "adapter weights")
        return result

    peft.PeftModel.load_adapter = checked  # type: ignore[method-assign]


def _read_first(report: Callable[..., None], *, is_adapter: bool) -> Callable[..., None]:
    @wraps(report)
    def checked(model: Any, pretrained_model_name_or_path: Any, *args: Any, **options: Any) -> None:
        if _wanted.get() != "anything":
            info = options.get("loading_info") or args[1]
            _check_report(model, str(pretrained_model_name_or_path), info, is_adapter)
            info.unexpected_keys = {name for name in info.unexpected_keys if not _is_above(model, name)}
        report(model, pretrained_model_name_or_path, *args, **options)

    return checked


def _check_report(model: Any, source: str, info: Any, is_adapter: bool) -> None:
    """Refuse weights that are missing, that have another shape, or that fit nowhere in the part that is used."""
    shapes = [f"{name} is {tuple(found)} for {tuple(wanted)}" for name, found, wanted in info.mismatched_keys]
    if shapes:
        other = "the backbone it is used with" if is_adapter else "its own config.json"
        raise CheckpointError(
            f"{source} does not fit {other}: {_some(shapes)}; save the model again, or give the right one"
        )
    absent = sorted(name for name in info.missing_keys if not _COMPUTED.search(name))
    optional = [name for name in absent if _OPTIONAL.search(name)]
    lost = sorted(name for name in info.unexpected_keys if not _COMPUTED.search(name))
    if is_adapter:
        lost = _without_heads(lost)
    else:
        lost = [name for name in lost if _is_of_the_body(model, name) and not _is_above(model, name)]
    kind = "adapter weights" if is_adapter else f"weights of {type(model).__name__}"
    absent = [name for name in absent if name not in optional]
    _refuse(source, absent, lost or (sorted(info.unexpected_keys) if absent else []), kind)
    for name in optional:
        _make_visible(model, name)


def _without_heads(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not _HEADS.search(name))


def _is_of_the_body(model: Any, name: str) -> bool:
    """Whether a weight that fits nowhere belongs to a part that the model has: another layer, a bias, another kind of layer.

    The others belong to heads and towers that this model does without.
    """
    body = model.base_model
    parts = {part for part, _ in body.named_children()}
    parts |= {part for part, child in model.named_children() if child is not body}
    names = (name, name.removeprefix(f"{model.base_model_prefix}."))
    return any(one.partition(".")[0] in parts for one in names)


def _is_above(model: Any, name: str) -> bool:
    """Whether a weight belongs to a layer above those that are read on purpose."""
    return _wanted.get() == "cut" and is_above(name, model.config.get_text_config().num_hidden_layers)


def is_above(name: str, layer: int) -> bool:
    """Whether a weight, by its name, belongs to a layer above the first `layer` ones; none does where that is 0.

    >>> is_above("model.layers.20.mlp.up_proj.weight", 20), is_above("model.norm.weight", 20)
    (True, False)
    """
    found = re.search(r"(?:^|\.)(\d+)\.", name)
    return layer > 0 and found is not None and int(found[1]) >= layer


def _make_visible(model: Any, name: str) -> None:
    """Replace a random weight by NaN: nothing changes where it is not read, and every embedding is NaN where it is."""
    import torch

    weight = model.get_parameter_or_buffer(name)
    if weight.is_floating_point() and not weight.is_meta:
        with torch.no_grad():
            weight.fill_(torch.nan)


def _refuse(source: str, absent: list[str], lost: list[str], kind: str) -> None:
    if absent:
        others = f" The files hold {_some(lost)}, which fit nowhere." if lost else ""
        raise CheckpointError(
            f"{source} is not whole: {len(absent)} {kind} are missing from its files ({_some(absent)}) and would be random numbers."
            f"{others} Save the model again with save_pretrained, or fetch it again"
        )
    if lost:
        raise CheckpointError(
            f"{source} holds {len(lost)} {kind} that fit nowhere ({_some(lost)}) and would be left out: its config.json belongs to "
            "another model (fewer layers, no biases ...); save the model again with save_pretrained, or fetch it again"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def check_tokenizers(model: Any, source: str | Path, tokenizer: Any = None) -> None:
    """Check every tokenizer of a model against the embedding matrix that it is for.

    Args:
        model: A SentenceTransformer, a cross encoder, one of their modules, or a model of transformers.
        source: What messages call the model.
        tokenizer: Of a model of transformers, which has none of its own.

    Raises:
        CheckpointError: As `check_tokenizer`.
    """
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    if isinstance(model, PreTrainedModel) and isinstance(tokenizer, PreTrainedTokenizerBase) and (rows := _rows(model)):
        check_tokenizer(tokenizer, rows, source)
    for module in model.modules():
        if isinstance(module, Transformer):
            own = module.tokenizer
            if isinstance(own, PreTrainedTokenizerBase) and (rows := _rows(module.model)):
                check_tokenizer(own, rows, source)
        elif isinstance(module, StaticEmbedding):
            _check_size(module.tokenizer.get_vocab_size(), module.embedding.num_embeddings, source)


def _rows(model: Any) -> int | None:
    """Rows of the embedding matrix that a model looks its tokens up in; None where it does without one (characters, pixels)."""
    try:
        table = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        return None
    return getattr(table, "num_embeddings", None)


def check_tokenizer(tokenizer: Any, rows: int, source: str | Path) -> None:
    """Check that a tokenizer and an embedding matrix belong together.

    Special tokens may lie beyond the matrix: Gemma 3 has one for images, which text never becomes.

    Args:
        tokenizer: Of transformers.
        rows: Of the embedding matrix.
        source: What messages call the model.

    Raises:
        CheckpointError: When the tokenizer knows far fewer tokens than there are rows, or makes tokens that have no row.
    """
    _check_size(len(tokenizer), rows, source)
    if len(tokenizer) <= rows:
        return
    added = tokenizer.get_added_vocab()
    if ordinary := [token for token, row in tokenizer.get_vocab().items() if row >= rows and token not in added]:
        raise CheckpointError(
            f"{source} has a tokenizer of {len(tokenizer):,} tokens for an embedding matrix of {rows:,} rows: {len(ordinary):,} "
            f"tokens have no row ({_some(sorted(map(repr, ordinary)))}); the tokenizer belongs to another model"
        )


def _check_size(tokens: int, rows: int, source: str | Path) -> None:
    is_padded = rows % 8 == 0 and rows <= -(-tokens // PADDED_TO) * PADDED_TO
    if tokens < SMALLEST_SHARE * rows and not is_padded:
        raise CheckpointError(
            f"{source} has a tokenizer of {tokens:,} tokens for an embedding matrix of {rows:,} rows: its files (tokenizer.json, "
            "vocab.txt ...) are missing or belong to another model; copy the right files into the folder"
        )


def check_embeddings(model: Any, source: str | Path) -> None:
    """Refuse a model whose embeddings say nothing: NaN, zero, or the same for different texts.

    Args:
        model: A SentenceTransformer; any other model is left alone, and so is one that reads no text.
        source: What messages call the model.

    Raises:
        CheckpointError: When an embedding is not finite, or no pair of different texts is told apart.
    """
    from sentence_transformers import SentenceTransformer

    if not isinstance(model, SentenceTransformer) or not model.supports("text"):
        return
    texts = [text for pair in PAIRS for text in pair]
    options: dict[str, Any] = {"show_progress_bar": False, "convert_to_tensor": True, "batch_size": len(texts)}
    found = model.encode_document(texts, **options).float()
    if not found.isfinite().all():
        raise CheckpointError(
            f"{source} gives NaN or infinite numbers for plain texts: its weights are damaged, it reads weights that its files lack "
            "(a pooler), or it needs a higher precision"
        )
    first, second = found[0::2], found[1::2]
    gaps, sizes = (first - second).norm(dim=-1), first.norm(dim=-1).maximum(second.norm(dim=-1))
    if bool((gaps <= 1e-5 * sizes).all()):
        raise CheckpointError(
            f"{source} gives different texts the same embedding{' of zeros' if not bool(sizes.any()) else ''} "
            f"({', '.join(map(repr, PAIRS[0]))} and {len(PAIRS) - 1} other pairs): its tokenizer or its weights are not the ones "
            "it was trained with; fetch it again"
        )
