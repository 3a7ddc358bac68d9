"""The step as the method is usually written down, on the rows, projections and texts of a `TokenTrainer`."""

import torch
from torch.nn import functional

from genzoo.backbones.entries import fetch_backbone
from genzoo.backbones.whole import load_causal_lm
from genzoo.teachers.teachers import load_teacher
from genzoo.training.trainer import TokenTrainer


class PlainWay:
    """The textbook step on the same rows, projections and texts."""

    def __init__(self, trainer: TokenTrainer, teacher: str | None) -> None:
        self.trainer = trainer
        backbone = fetch_backbone(trainer.recipe.backbone)
        self.device = trainer.model.device
        self.encoder = trainer.model
        self.decoder = load_causal_lm(backbone, str(self.device))[0].requires_grad_(False)
        self.teacher = load_teacher(teacher, str(self.device)) if teacher else None
        for model in (self.encoder, self.decoder):
            # Checkpointing is only done by a model in training mode; there is no dropout in these backbones.
            model.train()
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def loss(self, batch) -> torch.Tensor:
        """Alignment plus reconstruction loss of one batch, padded, with gradients through everything."""
        trainer, heads = self.trainer, self.trainer.heads
        n, pad = len(heads.rows), self.trainer.tokenizer.pad_token_id or 0
        texts, answers = trainer.text_ids(batch), trainer.response_ids(batch, trainer.recipe.losses.recon_tokens)
        longest = max(map(len, texts))
        ids = self._tensor([[pad] * (longest - len(row)) + row for row in texts])  # on the left: the tokens come last
        mask = self._tensor([[0] * (longest - len(row)) + [1] * (len(row) + n) for row in texts])
        embedded = self.encoder.get_input_embeddings()(ids).requires_grad_(True)
        inputs = torch.cat([embedded, heads.rows.expand(len(batch), n, -1)], dim=1)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        states = self.encoder.base_model(
            inputs_embeds=inputs, attention_mask=mask, position_ids=positions, use_cache=False
        )
        embeddings, z = heads(states.last_hidden_state[:, -n:])
        targets = trainer.target_rows(batch)
        if self.teacher is not None:
            self.teacher.encode([one.target for one in batch], convert_to_tensor=True, show_progress_bar=False)
        align = (embeddings - targets).square().mean()
        wide = max(map(len, answers))
        labels = self._tensor([row + [-100] * (wide - len(row)) for row in answers])
        fed = self.decoder.get_input_embeddings()(labels.clamp(min=0))
        prompts = torch.cat([heads.soft_prompts(z), fed], dim=1)
        seen = self._tensor([[1] * (n + len(row)) + [0] * (wide - len(row)) for row in answers])
        logits = self.decoder(inputs_embeds=prompts, attention_mask=seen, use_cache=False).logits.float()
        recon = functional.cross_entropy(logits[:, n - 1 : -1].flatten(0, 1), labels.flatten(), ignore_index=-100)
        return align + recon

    def _tensor(self, rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor(rows, device=self.device)

    def step(self, batch) -> None:
        """Gradients of one batch, and an optimiser step."""
        self.trainer.optimizer.zero_grad(set_to_none=True)
        self.loss(batch).backward()
        self.trainer.optimizer.step()
