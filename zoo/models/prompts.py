"""Task name or type -> generative instruction, in our own words, in the form that sentence-transformers and mteb look up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genzoo.errors import InputError
from genzoo.files import read_json

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PROBES: tuple[tuple[str | None, str], ...] = (
    ("query", "where do polar bears live?"),
    ("query", "how do I get red wine out of a carpet?"),
    ("document", "Polar bears live on the sea ice of the Arctic, where they hunt seals."),
    ("document", ""),
    (None, "Çà et là: naïve café — 東京 🙂, 3.14159 == π?"),
    (None, "a long text is cut, never the trained tokens; " * 80),
)
"""Prompt name and text of what every model is checked on. A change here is a change of `genzoo.publishing.fingerprint.FORMAT`."""

IN_OTHER_TOOLS = """A bare `encode(texts)` cannot tell questions from passages and gives other embeddings: use `encode_query` and `encode_document`, or,
before sentence-transformers 5, `prompt_name="query"` and `prompt_name="document"`. LangChain, LlamaIndex, Haystack, Chroma, LanceDB, BERTopic, SetFit
and KeyBERT call a bare `encode` unless they are told otherwise. A server takes plain text: the client puts the instruction, with its last
blank, before the text. Embeddings have unit length, so cosine, dot product and Euclidean distance rank alike. vLLM, and txtai by default,
pool other tokens and give other embeddings. genzoo's guide *In other tools* has tested lines for each."""
"""What somebody must know who uses an exported model without genzoo, in Markdown: for its README and its model card."""

NO_FLOAT16 = (
    "In float16 the embeddings are NaN, because states of the frozen LLM exceed 65,504, the largest number of that type: use float32 or "
    "bfloat16."
)
"""What is said of a model whose probe texts get other numbers than finite ones in float16."""

_REQUESTS = ("GenZooMiniSafety", "GenZooMiniOverRefusal", "GenZooSafety", "OverRefusal", "AdvBenchIR", "AdvBenchIRDot")
_SENTENCES = ("STS12", "STS13", "STS14", "STS15", "STS17", "STSBenchmark", "GenZooMiniSTS")

SEARCH: dict[str, str] = {
    # MTEB(eng, v2), retrieval
    "ArguAna": "Write the best argument against this one:",
    "CQADupstackGamingRetrieval": "Write an answer to this question about a game:",
    "CQADupstackUnixRetrieval": "Write an answer to this question about Unix or Linux:",
    "ClimateFEVERHardNegatives": "Write the facts that settle this claim about the climate:",
    "FEVERHardNegatives": "Write the facts that settle this claim:",
    "FiQA2018": "Write an answer to this question about money:",
    "HotpotQAHardNegatives": "Write the facts that are needed to answer this question:",
    "SCIDOCS": "Write the abstract of a paper that a paper of this title would cite:",
    "TRECCOVID": "Write what research on COVID-19 says about this:",
    "Touche2020Retrieval.v3": "Write a well argued answer to this question:",
    # MTEB(eng, v2), reranking
    "AskUbuntuDupQuestions": "Write another question about Ubuntu that has the same answer:",
    "MindSmallReranking": "Write a news headline for somebody who has read this one:",
    # further tasks that the zoo is measured on
    "SciFact": "Write what a study would report about this claim:",
    # BRIGHT(v1.1), short
    "BrightBiologyRetrieval": "Write what a biology textbook explains about this post:",
    "BrightEarthScienceRetrieval": "Write what an earth science textbook explains about this post:",
    "BrightEconomicsRetrieval": "Write what an economics textbook explains about this post:",
    "BrightPsychologyRetrieval": "Write what a psychology textbook explains about this post:",
    "BrightRoboticsRetrieval": "Write the part of a robotics manual that solves this post:",
    "BrightStackoverflowRetrieval": "Write the documentation that solves this programming post:",
    "BrightSustainableLivingRetrieval": "Write what a guide to sustainable living says about this post:",
    "BrightPonyRetrieval": "Write the manual page of the Pony language that this task needs:",
    "BrightLeetcodeRetrieval": "Write a solved coding problem that uses the same algorithm as this one:",
    "BrightAopsRetrieval": "Write a solved mathematics problem that uses the same idea as this one:",
    "BrightTheoremQATheoremsRetrieval": "State the theorem that solves this problem:",
    "BrightTheoremQAQuestionsRetrieval": "Write a solved problem that uses the same theorem as this one:",
    # RAR-b
    "ARCChallenge": "Write the answer to this science question:",
    "AlphaNLI": "Write what happened between this beginning and this end:",
    "HellaSwag": "Write how this goes on:",
    "WinoGrande": "Write the word that fills the gap in this sentence:",
    "PIQA": "Write how to reach this goal with everyday means:",
    "SIQA": "Write the answer to this question about people:",
    "Quail": "Write the answer to the question about this story:",
    "SpartQA": "Write the answer to this question about where things are:",
    "TempReasonL1": "Write the month and year that this asks for:",
    "TempReasonL2Pure": "Write who or what it was at that time:",
    "TempReasonL2Fact": "Write who or what it was at that time, by the facts given:",
    "TempReasonL2Context": "Write who or what it was at that time, by the text given:",
    "TempReasonL3Pure": "Write who or what came before or after:",
    "TempReasonL3Fact": "Write who or what came before or after, by the facts given:",
    "TempReasonL3Context": "Write who or what came before or after, by the text given:",
    "RARbCode": "Write the code that does this:",
    "RARbMath": "Write the solution of this problem:",
    # ours
    "GenZooMiniRetrieval": "Write the answer to this question:",
    "GenZooMiniReasoningRetrieval": "Write the principle that explains this:",
    "GenZooReasoningRetrieval": "Write the principle that explains this:",
    **{f"{name}Retrieval": "Write a reply to this request:" for name in _REQUESTS},
}

SYMMETRIC: dict[str, str] = {
    # MTEB(eng, v2), clustering
    "ArXivHierarchicalClusteringP2P": "Name the field of science of this paper:",
    "ArXivHierarchicalClusteringS2S": "Name the field of science of a paper with this title:",
    "BiorxivClusteringP2P.v2": "Name the branch of biology of this paper:",
    "MedrxivClusteringP2P.v2": "Name the branch of medicine of this paper:",
    "MedrxivClusteringS2S.v2": "Name the branch of medicine of a paper with this title:",
    "StackExchangeClustering.v2": "Name the forum in which this question was asked:",
    "StackExchangeClusteringP2P.v2": "Name the forum in which this post was written:",
    "TwentyNewsgroupsClustering.v2": "Name the subject of the newsgroup of this message:",
    # MTEB(eng, v2) and ours, similarity and pairs
    **dict.fromkeys(_SENTENCES, "Write a sentence with the same meaning:"),
    "BIOSSES": "Write the same finding of biomedicine in other words:",
    "SICK-R": "Describe the same scene in other words:",
    "STS22.v2": "Write what happened in this news report, who was there, where and when:",
    "SprintDuplicateQuestions": "Write the same customer's question in other words:",
    "TwitterSemEval2015": "Write the same message in other words:",
    "TwitterURLCorpus": "Write the same news in other words:",
    "SummEvalSummarization.v2": "Write a summary of this text:",
    # MTEB(eng, v2), classification
    "AmazonCounterfactualClassification": "Say whether this review tells of what happened or of what might have been:",
    "Banking77Classification": "Name what this customer of a bank wants:",
    "ImdbClassification": "Say whether this film review is for or against the film:",
    "MTOPDomainClassification": "Name the domain of this request to an assistant:",
    "MassiveIntentClassification": "Name what the speaker wants of the assistant:",
    "MassiveScenarioClassification": "Name the situation in which somebody says this to an assistant:",
    "ToxicConversationsClassification": "Say whether this comment is toxic, and why:",
    "TweetSentimentExtractionClassification": "Name the mood of this message:",
    "PoemSentimentClassification": "Name the mood of this line of a poem:",
    # ours
    "GenZooMiniIntentClassification": "Name what this customer of a shop wants:",
}


def task_prompts() -> dict[str, str]:
    """Prompts by the keys that sentence-transformers and mteb look up: ``<task>-query`` for searches, else ``<task>``."""
    searches = {f"{task}-query": f"{prompt} " for task, prompt in SEARCH.items()}
    return searches | {task: f"{prompt} " for task, prompt in SYMMETRIC.items()}


QUERY = "Write the answer to this: "
DOCUMENT = "Restate this passage: "
INTENT = "Name the topic and intent of this text: "
TOPIC = "Name the topic of this text: "
TOPICS = INTENT, TOPIC


def without(text: str) -> str:
    """A text without the general prompt that it begins with, if it does.

    >>> without("Restate this passage: Polar bears live on ice.")
    'Polar bears live on ice.'
    """
    return next((text[len(one) :] for one in (QUERY, DOCUMENT, *TOPICS) if text.startswith(one)), text)


TYPE_PROMPTS: dict[str, str] = {
    "query": QUERY,
    "document": DOCUMENT,
    "STS": DOCUMENT,
    "PairClassification": DOCUMENT,
    "BitextMining": DOCUMENT,
    "Summarization": DOCUMENT,
    "Classification": INTENT,
    "MultilabelClassification": INTENT,
    "Clustering": TOPIC,
}
"""Keys are mteb task types or the two sides of a search; mteb falls back to ``query`` / ``document`` in retrieval types."""

GENERAL, TASKS = "general", "tasks"


def all_prompts() -> dict[str, str]:
    """The prompts that ride along with every exported model, as ``config_sentence_transformers.json`` stores them."""
    return dict(TYPE_PROMPTS)


def prompt_set(name: str) -> dict[str, str]:
    """A set of prompts by name, or from a JSON file.

    Args:
        name: ``general``, ``tasks``, or the path of a JSON object whose keys are mteb task names (an own name, or
            ``<task>-query``), task types, ``query`` or ``document``, and whose values are prompts.

    Raises:
        InputError: Neither a known name nor a file with such an object.
    """
    if name == GENERAL:
        return all_prompts()
    if name == TASKS:
        return all_prompts() | task_prompts()
    path = Path(name)
    if not path.is_file():
        raise InputError(f"no prompt set {name!r}: there are {GENERAL}, {TASKS}, or the path of a JSON file")
    found = read_json(path, "expected an object of prompts by task name or type", error=InputError)
    if not found or not all(isinstance(value, str) for value in found.values()):
        raise InputError(f"{path} must hold a JSON object of prompts by task name or type")
    # sentence-transformers needs a space at the end; an empty prompt stays empty
    return {key: f"{value.strip()} ".lstrip() for key, value in found.items()}


def has_own(prompts: dict[str, str], task: str) -> bool:
    """Whether a task has an instruction of its own, rather than that of its type."""
    return task in prompts or f"{task}-query" in prompts


def probe_texts(model: SentenceTransformer) -> list[str]:
    """The fixed texts as the model reads them, with their prompts."""
    return [((model.prompts.get(name) or "") if name else "") + text for name, text in PROBES]


def is_finite(model: SentenceTransformer) -> bool:
    """Whether the embeddings of the short fixed texts hold finite numbers alone, in the precision that the model has."""
    texts = [text for text in probe_texts(model) if 0 < len(text) < 200]
    found = model.encode(texts, prompt="", convert_to_tensor=True, show_progress_bar=False)
    return bool(found.isfinite().all())
