"""What an embedding says: its soft prompts, read back to text by the same frozen LLM, and the logit lens of each position."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from genzoo.backbones.depth import first_layers
from genzoo.backbones.forward import freeze
from genzoo.backbones.generation import continued, first_sentence, generate, shipped_config
from genzoo.backbones.lora import changed_by
from genzoo.backbones.precision import ROUNDED, precision_of
from genzoo.backbones.token_states import token_states
from genzoo.backbones.tokenizer import check_texts, plain_ids
from genzoo.errors import InputError
from genzoo.frames import Rows, to_frame, to_html
from genzoo.jobs import report
from genzoo.models.checkpoint import TokenCheckpoint
from genzoo.models.exported import embedding_rows
from genzoo.text import clean, shared_words, telling

if TYPE_CHECKING:
    import pandas as pd
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Reading:
    """One embedding, read.

    Attributes:
        text: The input.
        prompt: Instruction that stood before it.
        decoded: What the frozen LLM writes when it sees only the soft prompts.
        logit_lens: For each compression token, the vocabulary tokens its hidden state is nearest to, best first.
        embedding: ``(D,)`` as `SentenceTransformer.encode` gives it.
    """

    text: str
    prompt: str
    decoded: str
    logit_lens: tuple[tuple[str, ...], ...]
    embedding: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """The evidence record: everything but the embedding."""
        facts = asdict(self)
        del facts["embedding"]
        return facts

    def lens(self, nearest: int = 3) -> str:
        """The nearest words of each compression token in one line; empty where none is a word."""
        words = map(telling, self.logit_lens)
        return " · ".join("/".join(repr(word)[1:-1] for word in found[:nearest]) for found in words if found)

    def as_row(self) -> dict[str, str]:
        """For a table: the text, what its embedding decodes to, and the logit lens in a line."""
        return {"text": self.text, "decoded": self.decoded, "lens": self.lens()}


@dataclass(frozen=True)
class Found:
    """A document of one explained search.

    Attributes:
        place: Its place among the documents as given, from 1.
        rank: Its place by similarity, 1 is the nearest.
        similarity: Cosine to the query, between -1 and 1.
        reading: Its embedding, read.
        shared_decoded: Words that the decoded query and the decoded document share: what the embeddings have in common.
        shared_lens: Logit-lens words that they share, at any position.
        shared_text: Words that the two texts themselves share.
    """

    place: int
    rank: int
    similarity: float
    reading: Reading
    shared_decoded: tuple[str, ...]
    shared_lens: tuple[str, ...]
    shared_text: tuple[str, ...]

    def as_row(self) -> dict[str, Any]:
        """For a table: rank, place, similarity, the reading, and the words in common with the query."""
        shared = {"shared decoded": ", ".join(self.shared_decoded), "shared text": ", ".join(self.shared_text)}
        return {"rank": self.rank, "place": self.place, "similarity": self.similarity} | self.reading.as_row() | shared


@dataclass(frozen=True)
class Explanation:
    """One search, explained.

    Attributes:
        query: The query's reading.
        found: The documents, nearest first.
        right: Place of the document that should have won, from 1, if that is known.
    """

    query: Reading
    found: tuple[Found, ...]
    right: int | None = None

    @property
    def verdict(self) -> str:
        """Whether the right document won, and what the two embeddings share with the query; empty where it is not known."""
        if self.right is None:
            return ""
        first = self.found[0]
        wanted = next(each for each in self.found if each.place == self.right)
        if wanted is first:
            return "It won."
        words = [", ".join(each.shared_decoded) or "no word" for each in (first, wanted)]
        return (
            f"Number {first.place} won by {first.similarity - wanted.similarity:.3f}. In the decoded texts it shares "
            f"{words[0]} with the query; the document that should have won shares {words[1]}."
        )

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with a row for each document, nearest first; cosine similarity between -1 and 1."""
        frame = to_frame(self.found)
        if self.right is not None:
            frame["should have won"] = frame["place"] == self.right
        return frame

    def _repr_html_(self) -> str:
        return to_html(to_frame([self.query])) + to_html(self.to_frame()) + f"<p>{html.escape(clean(self.verdict))}</p>"

    def as_dict(self) -> dict[str, Any]:
        """For machines: everything but the embeddings."""
        rows = [{**vars(each), "reading": each.reading.as_dict()} for each in self.found]
        return {"query": self.query.as_dict(), "documents": rows}


NO_REPEAT = 3
"""Decoded text repeats no run of so many tokens: a small LLM that writes greedily otherwise ends in a loop and says less."""


class Decoder:
    """Reads embeddings of one model back to text; holds one copy of the backbone.

    Args:
        checkpoint: Trained tokens.
        model: The frozen causal LM that they were trained on.
        tokenizer: Its tokenizer.
    """

    def __init__(self, checkpoint: TokenCheckpoint, model: Any, tokenizer: Any) -> None:
        self.checkpoint, self.model, self.tokenizer = checkpoint, freeze(model), tokenizer
        self.encoder = first_layers(self.model, checkpoint.exit_layer)
        self._tensors = {name: tensor.to(model.device).float() for name, tensor in checkpoint.tensors().items()}

    @classmethod
    def load(cls, checkpoint: TokenCheckpoint, backbone: Path, device: str | None = None) -> Decoder:
        """Load the backbone from its folder, on the GPU where there is one."""
        from genzoo.backbones.whole import load_causal_lm

        return cls(checkpoint, *load_causal_lm(backbone, device))

    @classmethod
    def over(cls, checkpoint: TokenCheckpoint, backbone: Path, model: SentenceTransformer) -> Decoder | None:
        """A decoder that takes over the backbone of a loaded model, which cannot encode afterwards.

        Args:
            checkpoint: Trained tokens.
            backbone: Folder of the frozen LLM that they were trained on.
            model: The model of this checkpoint and backbone, as `genzoo.models.assembly.assemble` makes it.

        Returns:
            None where the loaded backbone is not the whole frozen LLM: it ends at an exit layer, its head is not its embedding
            matrix, the tokens stand on rows of their own, a LoRA is merged into it, or its products are rounded.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        body: Any = model[0].model
        table, n_rows = body.get_input_embeddings(), body.config.get_text_config().vocab_size
        if (
            checkpoint.lora
            or checkpoint.exit_layer
            or not body.config.tie_word_embeddings
            or table.num_embeddings != n_rows
            or precision_of(model) == ROUNDED
        ):
            return None
        ids = list(checkpoint.spec.ids)
        with torch.no_grad():
            table.weight[ids] = embedding_rows(backbone, ids).to(table.weight)
        with torch.device("meta"):
            whole = AutoModelForCausalLM.from_config(body.config, dtype=table.weight.dtype)
        setattr(whole, whole.base_model_prefix, body)
        whole.tie_weights()
        whole.generation_config = shipped_config(backbone)
        return cls(checkpoint, whole.eval(), AutoTokenizer.from_pretrained(backbone))

    def read(
        self,
        texts: Sequence[str] | str,
        *,
        prompt_name: str | None = "query",
        max_new_tokens: int = 48,
        top: int = 5,
        batch_size: int = 32,
        truncate: bool = False,
    ) -> Rows[Reading]:
        """Embed the texts and read each embedding back, greedily and batched.

        Args:
            texts: Plain texts.
            prompt_name: Name of a prompt that rides along with the model, or None for no prompt.
            max_new_tokens: Longest decoded text.
            top: Logit-lens tokens per position.
            batch_size: Texts at once; all soft prompts have one length, so nothing is padded.
            truncate: Cut texts that are longer than the model reads; otherwise they are refused, since the embedding would
                say nothing about their end.
        """
        texts = check_texts(texts)
        prompts = self.checkpoint.prompts()
        if prompt_name is not None and prompt_name not in prompts:
            raise InputError(f"unknown prompt {prompt_name!r}: there are {', '.join(prompts)}, or none")
        prompt = prompts[prompt_name] if prompt_name else ""
        if not truncate:
            self._refuse_long([prompt + text for text in texts])
        readings: list[Reading] = []
        for start in range(0, len(texts), batch_size):
            readings += self._read_batch(texts[start : start + batch_size], prompt, max_new_tokens, top)
            report("decoding", len(readings), len(texts))
        return Rows(readings)

    def explain(self, query: str, documents: Sequence[str], **settings: Any) -> Explanation:
        """What `genzoo.explain` does with a model's name; settings are those of `read`, prompts apart."""
        (asked,) = self.read(query, prompt_name="query", **settings)
        readings = self.read(documents, prompt_name="document", **settings)
        similarities = torch.nn.functional.cosine_similarity(
            torch.tensor([asked.embedding]), torch.tensor([reading.embedding for reading in readings])
        ).tolist()
        order = sorted(range(len(readings)), key=lambda place: -similarities[place])
        found = []
        for rank, place in enumerate(order, 1):
            reading = readings[place]
            shared = (
                shared_words(asked.decoded, reading.decoded),
                shared_words(_lens_words(asked), _lens_words(reading)),
                shared_words(asked.text, reading.text),
            )
            found.append(Found(place + 1, rank, similarities[place], reading, *shared))
        return Explanation(asked, tuple(found))

    def _refuse_long(self, texts: list[str]) -> None:
        room = self.checkpoint.max_tokens - len(self.checkpoint.spec)
        for place, ids in enumerate(plain_ids(self.tokenizer, texts)):
            if len(ids) > room:
                raise InputError(
                    f"text number {place + 1} has {len(ids):,} tokens with its prompt, this model reads {room}: shorten it, or "
                    "cut it off there with --truncate"
                )

    def states(self, texts: Sequence[str]) -> torch.Tensor:
        """States after the exit layer, ``(batch, n_compression, H)``, of texts, prompt included, cut to what the model reads."""
        spec = self.checkpoint.spec
        ids = plain_ids(self.tokenizer, texts, self.checkpoint.max_tokens - len(spec))
        with changed_by(self.encoder, self.checkpoint.lora):
            return token_states(self.encoder, ids, self._tensors["rows"])[:, spec.n_thought :]

    def soft_prompts(self, states: torch.Tensor) -> torch.Tensor:
        """What `states` are decoded from, of the same shape, in float32."""
        return states.float() @ self._tensors["recon_weight"].T + self._tensors["recon_bias"]

    @torch.inference_mode()
    def _read_batch(self, texts: list[str], prompt: str, max_new_tokens: int, top: int) -> list[Reading]:
        states = self.states([prompt + text for text in texts])
        soft_prompts = self.soft_prompts(states)
        embeddings = self.checkpoint.aligned(soft_prompts.mean(dim=1))
        if self.checkpoint.unit_length:
            embeddings = torch.nn.functional.normalize(embeddings, dim=-1)
        decoded = self.decode(soft_prompts, max_new_tokens)
        best = self.model.get_output_embeddings()(states).float().topk(top, dim=-1).indices
        lens = [tuple(tuple(self.tokenizer.decode([i]) for i in row) for row in rows) for rows in best.tolist()]
        rows = zip(texts, [prompt] * len(texts), decoded, lens, map(tuple, embeddings.tolist()), strict=True)
        return [Reading(*row) for row in rows]

    @torch.inference_mode()
    def decode(self, soft_prompts: torch.Tensor, max_new_tokens: int = 48) -> list[str]:
        """What the frozen LLM writes after soft prompts ``(batch, n, H)`` and nothing else: greedy, with a KV cache, no loops.

        Where a content policy finds that they look refused (`TokenCheckpoint.refuses`), it goes on from the policy's opening, to the
        end of that sentence.
        """
        refused = self.checkpoint.refuses(soft_prompts.mean(dim=1))
        texts = [""] * len(soft_prompts)
        for chosen, opening in ((~refused, ""), (refused, self.checkpoint.refusal_opening)):
            places = chosen.nonzero().flatten().tolist()
            for place, text in zip(places, self._write(soft_prompts[places], opening, max_new_tokens), strict=True):
                texts[place] = text
        return texts

    def _write(self, soft_prompts: torch.Tensor, opening: str, max_new_tokens: int) -> list[str]:
        """What follows soft prompts and the opening, as one text."""
        from transformers import LogitsProcessorList, NoRepeatNGramLogitsProcessor

        if not len(soft_prompts):
            return []
        before, end = soft_prompts.to(self.model.dtype), self.tokenizer.eos_token_id
        if opening:
            ids = self.tokenizer(opening, add_special_tokens=False, return_tensors="pt")["input_ids"].to(before.device)
            begun = self.model.get_input_embeddings()(ids)
            before = torch.cat([before, begun.expand(len(before), -1, -1)], dim=1)
        made = generate(
            self.model,
            self.tokenizer,
            inputs_embeds=before,
            attention_mask=torch.ones(before.shape[:2], dtype=torch.long, device=before.device),
            max_new_tokens=max_new_tokens,
            logits_processor=LogitsProcessorList([NoRepeatNGramLogitsProcessor(NO_REPEAT)]),
            pad_token_id=self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else end,
        )
        if opening:
            return [first_sentence(continued(self.tokenizer, opening, row), opening)[0] for row in made.tolist()]
        return [text.strip() for text in self.tokenizer.batch_decode(made, skip_special_tokens=True)]


def _lens_words(reading: Reading) -> str:
    return " ".join(token for nearest in reading.logit_lens for token in nearest)
