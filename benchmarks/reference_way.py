"""The step of the published reference code (llm2vec-gen 0.1.3), with its own classes, on the texts of `benchmark_training`.

Its pinned requirements need a GPU and other versions of what we stand on, so it is installed without them, for the measurement only:

    pip install --no-deps llm2vec-gen==0.1.3 && pip install peft
"""

import importlib.util

import torch
from torch.nn import functional

from genzoo.backbones.entries import fetch_backbone
from genzoo.backbones.whole import load_causal_lm
from genzoo.teachers.teachers import load_teacher
from genzoo.training.trainer import TokenTrainer


def is_installed() -> bool:
    """Whether the reference code and what it imports are there."""
    return all(importlib.util.find_spec(name) is not None for name in ("llm2vec_gen", "peft"))


class ReferenceWay:
    """Two backbones, tokens as PEFT's trainable rows, padding on the left, checkpointing, the teacher in the loop."""

    def __init__(self, trainer: TokenTrainer, teacher: str) -> None:
        from llm2vec_gen.models import EncoderDecoderModel, ProjectionModel
        from peft import TrainableTokensConfig, get_peft_model

        self.trainer, backbone = trainer, fetch_backbone(trainer.recipe.backbone)
        self.device = trainer.model.device
        encoder, self.tokenizer = load_causal_lm(backbone, str(self.device))
        encoder, decoder = encoder.base_model, load_causal_lm(backbone, str(self.device))[0].requires_grad_(False)
        n, width = trainer.recipe.n_tokens, encoder.config.hidden_size
        self.tokens = [f"<trained-{place}>" for place in range(n)]
        self.tokenizer.add_tokens(self.tokens, special_tokens=True)
        self.tokenizer.padding_side = "left"
        encoder.resize_token_embeddings(len(self.tokenizer))
        encoder.config.num_special_tokens = n
        rows = self.tokenizer.convert_tokens_to_ids(self.tokens)
        peft = get_peft_model(encoder, TrainableTokensConfig(target_modules=["embed_tokens"], token_indices=rows))
        peft.config = encoder.config
        recon, align = ProjectionModel(width, width), ProjectionModel(width, trainer.dim)
        self.model = EncoderDecoderModel(peft, decoder, f"last_{n}_tokens", recon, align).train().to(self.device)
        self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.teacher = load_teacher(teacher, str(self.device))
        trained = [one for one in self.model.parameters() if one.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-3)

    def step(self, batch) -> None:
        """Gradients of one batch, and an optimiser step."""
        self.optimizer.zero_grad(set_to_none=True)
        texts = [one.text + "".join(self.tokens) for one in batch]
        queries = self.tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)
        queries = queries.to(self.device)
        answers = self.trainer.response_ids(batch, self.trainer.recipe.losses.recon_tokens)
        wide, pad = max(map(len, answers)), self.tokenizer.pad_token_id or 0
        ids = torch.tensor([[pad] * (wide - len(row)) + row for row in answers], device=self.device)
        mask = torch.tensor([[0] * (wide - len(row)) + [1] * len(row) for row in answers], device=self.device)
        targets = self.teacher.encode([one.target for one in batch], convert_to_tensor=True, show_progress_bar=False)
        states, output = self.model(
            query_input_ids=queries["input_ids"],
            query_attention_mask=queries["attention_mask"],
            answer_input_ids=ids,
            answer_attention_mask=mask,
            labels=ids.where(mask.bool(), -100),
        )
        # a clone, because the teacher's own rows were made in inference mode
        (output.loss + functional.mse_loss(states.mean(dim=1), targets.clone())).backward()
        self.optimizer.step()
