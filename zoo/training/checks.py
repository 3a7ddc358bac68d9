"""What a recipe asks of its backbone and its query log, checked before hours go into answering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genzoo.errors import InputError
from genzoo.recipes import Recipe


def check_recipe(recipe: Recipe, backbone: Path, n_queries: int, makes_teacher: bool) -> None:
    """Raise `InputError` where the recipe cannot be made of this backbone and as many queries.

    Args:
        recipe: What is to be made.
        backbone: Local folder of its backbone.
        n_queries: In the log.
        makes_teacher: Whether the unsupervised teacher is fitted.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(backbone)
    if makes_teacher:
        _check_teacher(recipe, config.get_text_config(), n_queries)
    if recipe.lora.rank:
        import torch
        from transformers import AutoModelForCausalLM

        from genzoo.lora import Lora

        with torch.device("meta"):  # shapes alone
            model = AutoModelForCausalLM.from_config(config)
        Lora.create(model, 1, recipe.lora.modules, recipe.seed)


def _check_teacher(recipe: Recipe, config: Any, n_queries: int) -> None:
    options = recipe.unsupervised
    asked = min(recipe.response.limit or n_queries, n_queries)
    held = min(recipe.held_out, asked // 10)
    texts = min(n_queries - held, options.fit_texts)
    log = f"the log has {n_queries:,}, of which {held:,} are held out and at most {options.fit_texts:,} (fit_texts) are taken"
    for wrong, told in (
        (
            options.layer > config.num_hidden_layers,
            f"unsupervised.layer is {options.layer}, the backbone has layers 1 to {config.num_hidden_layers}",
        ),
        (
            options.whiten > config.hidden_size,
            f"unsupervised.whiten is {options.whiten}, the backbone is {config.hidden_size} wide: give at most that",
        ),
        (
            texts <= options.whiten,
            f"whitening to {options.whiten} dimensions needs more than {options.whiten} texts, {log}: lower unsupervised.whiten",
        ),
        (
            bool(options.simcse_steps) and texts < 2 * options.simcse_batch,
            f"SimCSE with batches of {options.simcse_batch} needs twice as many texts, {log}: lower unsupervised.simcse_batch",
        ),
    ):
        if wrong:
            raise InputError(told)
