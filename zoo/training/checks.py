"""What a recipe asks of its backbone and its query log, checked before hours go into answering."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from genzoo.backbones import BACKBONES, fetch_backbone, local_backbone
from genzoo.errors import InputError
from genzoo.recipes import UNSUPERVISED, Recipe
from genzoo.teachers import TEACHERS, fetch_teacher


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
    width = config.get_text_config().hidden_size
    if recipe.lora.rank > width:
        raise InputError(f"lora.rank is {recipe.lora.rank}, the backbone is {width} wide: give at most that")
    if recipe.lora.rank:
        import torch
        from transformers import AutoModelForCausalLM

        from genzoo.lora import Lora

        with torch.device("meta"):  # shapes alone
            model = AutoModelForCausalLM.from_config(config)
        Lora.create(model, 1, recipe.lora.modules, recipe.seed)


def check_what_is_here(recipe: Recipe, n_queries: int) -> None:
    """`check_recipe` as far as nothing has to be fetched for it: for a plan.

    Raises:
        InputError: As `check_recipe`, where the backbone is on this machine.
        ZooError: For a backbone or teacher that is neither a key, nor a folder that holds one, nor a name on the Hub.
    """
    if recipe.losses.align and recipe.teacher != UNSUPERVISED and recipe.teacher not in TEACHERS:
        _check_name(recipe.teacher, fetch_teacher)
    if recipe.backbone not in BACKBONES:
        _check_name(recipe.backbone, fetch_backbone)
    if (folder := local_backbone(recipe.backbone)) is not None:
        check_recipe(recipe, folder, n_queries, bool(recipe.losses.align) and recipe.teacher == UNSUPERVISED)


def _check_name(name: str, fetch: Callable[[str], Path]) -> None:
    """Have a name that is no key refused, unless it is one of the Hub, which only the Hub can refuse."""
    is_on_hub = "/" in name.partition("@")[0] and not name.startswith((".", "/"))
    if Path(name).is_dir() or not is_on_hub:
        fetch(name)


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
