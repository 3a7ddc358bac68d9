"""The model card: metadata that the Hub reads, and a page that says only what is known."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.models.exported import requirements
from genzoo.models.prompts import IN_OTHER_TOOLS, NO_FLOAT16
from genzoo.publishing.licences import licence_of
from genzoo.publishing.scores import CardScores
from genzoo.recipes.fields import UnsupervisedOptions
from genzoo.text import code_markdown, escape_markdown

USAGE = """from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{model}"{options})
queries = model.encode_query(["where do polar bears live?", "how long should I boil an egg?"])
documents = model.encode_document([
    "Polar bears roam the frozen sea around the North Pole, where they hunt seals.",
    "For a firm yolk leave it in simmering water for ten minutes.",
])
print(model.similarity(queries, documents))"""
_FORMS = {
    "adapter": "the trained numbers only; the frozen LLM is loaded from its own repository",
    "merged": "self-contained, the frozen LLM included",
}


@dataclass(frozen=True)
class CardFacts:
    """Everything on a card that is not read off the checkpoint.

    Attributes:
        repo_id: ``org/name``.
        form: ``adapter`` or ``merged``.
        base_model: Hub id of the frozen LLM.
        base_revision: Its commit, empty where it has none; not shown beside a `backbone_note`, as its weights came from elsewhere.
        licence: Hub identifier.
        teacher: Hub id of the encoder that gave the targets, empty where unknown.
        self_taught: How the teacher was made of the frozen LLM itself, without labels; None for another teacher.
        training_data: What was trained on, with licences.
        backbone_note: What a user must know about the frozen LLM's weights.
        scores: Measurements.
        options: Further arguments of ``SentenceTransformer`` in the usage, such as ``revision="v1"``.
        has_float16: Whether embeddings are finite in float16.
    """

    repo_id: str
    form: str
    base_model: str
    base_revision: str
    licence: str
    teacher: str = ""
    self_taught: UnsupervisedOptions | None = None
    training_data: str = ""
    backbone_note: str = ""
    scores: CardScores = field(default_factory=CardScores)
    options: str = ""
    has_float16: bool = True


def run_usage(folder: Path) -> str:
    """Run the card's own code on a folder and return what it prints."""
    printed = io.StringIO()
    code = USAGE.format(model=folder, options=', device="cpu"')
    with redirect_stdout(printed):
        exec(compile(code, "usage", "exec"), {})  # noqa: S102 - our own fixed text
    return printed.getvalue().strip()


def render_card(checkpoint: TokenCheckpoint, facts: CardFacts, prompts: dict[str, str], usage_output: str) -> str:
    """The whole README.md: metadata block and page."""
    import jinja2

    loader, data = jinja2.FileSystemLoader(Path(__file__).parent / "templates"), facts.training_data.strip()
    # Markdown, in which escaping for HTML would spoil the code: the page escapes what comes from files by its filter `md`.
    environment = jinja2.Environment(loader=loader, trim_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701
    environment.filters |= {"md": escape_markdown, "code": lambda name: code_markdown(name).replace("|", r"\|")}
    needed = requirements(facts.form, is_old=facts.form == "merged" or not checkpoint.exit_layer)
    page = environment.get_template("model_card.md.j2").render(
        facts=facts,
        scores=facts.scores,
        licence=licence_of(facts.licence),
        checkpoint=checkpoint,
        spec=checkpoint.spec,
        form=_form(checkpoint, facts.form),
        self_taught=describe_teacher(facts.self_taught) if facts.self_taught else "",
        usage=USAGE.format(model=facts.repo_id, options=facts.options),
        usage_output=usage_output,
        prompts=prompts,
        in_other_tools=IN_OTHER_TOOLS,
        training_data=data if not data or data.endswith(".") else f"{data}.",
        controls=_controls(checkpoint.info.get("controls")),
        policy=describe_policy(checkpoint.info.get("policy")),
        limits=list_limits(checkpoint, facts),
        requirements=", ".join(f"{name} {row['specifier']}" for name, row in needed.items()),
    )
    return f"---\n{_metadata(facts)}---\n{page}"


def _form(checkpoint: TokenCheckpoint, form: str) -> str:
    if checkpoint.exit_layer and form == "merged":
        return f"self-contained, the frozen LLM up to {checkpoint.depth} included"
    return _FORMS[form]


def describe_teacher(options: UnsupervisedOptions) -> str:
    """A teacher that was made of the frozen LLM itself, in words, by the fields of its recipe.

    >>> describe_teacher(UnsupervisedOptions(layer=2, whiten=256))
    'its states after layer 2, averaged over the text and a request for its meaning, whitened to 256 dimensions'
    """
    over = {
        "plain": "over the text",
        "prompt": "over the text and a request for its meaning",
        "echo": "over the text given twice",
        "answer": "over the tokens that open an answer",
    }[options.wrap]
    tuned = ", tuned by unsupervised SimCSE" if options.simcse_steps else ""
    reduced = f"{options.whiten} dimensions"
    if options.power == 0.5:
        spread = f"whitened to {reduced}"
    elif options.power:
        spread = f"partly whitened (power {options.power:g}) to {reduced}"
    else:
        spread = f"centred and reduced to {reduced} by principal components, not whitened"
    return f"its states after layer {options.layer}{tuned}, averaged {over}, {spread}"


def _metadata(facts: CardFacts) -> str:
    import yaml

    rows: dict[str, Any] = {
        "license": facts.licence,
        "base_model": facts.base_model,
        "base_model_relation": "adapter" if facts.form == "adapter" else "finetune",
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "language": "en",
        "tags": ["sentence-transformers", "generative-embeddings", "llm2vec-gen", "mteb"],
    }
    link = licence_of(facts.licence).link
    return yaml.safe_dump(rows | ({"license_link": link} if link else {}), sort_keys=False, allow_unicode=True)


def _controls(found: Any) -> dict[str, str] | None:
    try:
        return {
            "n": str(int(found["n"])),
            "own": f"{found['recon_own']:.2f}",
            "shuffled": f"{found['recon_shuffled']:.2f}",
            "top1": f"{found['top1']:.0%}",
        }
    except (KeyError, TypeError, ValueError):
        return None


def describe_policy(found: Any) -> str:
    """What a content policy did in training, in one sentence; empty where there was none."""
    try:
        told = (
            f" They set an axis of the embedding, too (cross-validated AUC {found['tokens_auc']:.2f} on the trained tokens): a query "
            "that looks refused is less similar to every passage, by one factor."
            if "tokens_auc" in found
            else ""
        )
        return (
            f"Lightly supervised by {found['examples']:,} examples of requests to refuse or to answer: the frozen LLM's own states "
            f"judged the log by them (cross-validated AUC {found['auc']:.2f}), and {found['refused']:,} of {found['queries']:,} "
            "queries got a refusal as their response, which the LLM wrote itself after a given opening." + told
        )
    except (KeyError, TypeError, ValueError):
        return ""


def list_limits(checkpoint: TokenCheckpoint, facts: CardFacts) -> list[str]:
    """What a user must not expect, from what is known."""
    limits = [
        "An embedding says what this LLM would answer, with its knowledge, its mistakes and its style.",
        "Trained and measured on English text.",
        f"A text of more than {checkpoint.max_tokens - len(checkpoint.spec)} tokens, its instruction included, is cut.",
    ]
    if not facts.has_float16:
        limits.append(NO_FLOAT16)
    if checkpoint.info.get("source") == "llm2vec-gen":
        limits.append("Converted from a checkpoint of llm2vec-gen; it was not trained again.")
    if not facts.scores.rows:
        limits.append("No score was measured for this card.")
    elif not any(row.dataset for row in facts.scores.rows):
        limits.append("Measured on small data sets only: they separate strong models from weak ones, not close ones.")
    if facts.form == "adapter":
        newest = "The library loads the newest revision of the frozen LLM"
        limits.append(f"{newest}: `genzoo.load` warns when it differs from the one of the training.")
    if checkpoint.exit_layer and facts.form == "adapter":
        reported = "While loading, transformers reports the weights of the layers that are not run as unexpected"
        limits.append(
            f"{reported}. Saving the loaded model again with sentence-transformers would lose the exit layer: copy this folder."
        )
    elif checkpoint.exit_layer:
        limits.append(
            "Reading an embedding back to text (`genzoo decode`) needs the whole frozen LLM, which is fetched."
        )
    return limits
