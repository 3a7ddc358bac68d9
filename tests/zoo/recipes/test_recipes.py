"""The named recipes, their digests, and changes of single fields."""

from dataclasses import replace

import pytest

from genzoo.errors import InputError
from genzoo.recipes.recipes import (
    RECIPES,
    LossOptions,
    OptimOptions,
    Recipe,
    ResponseOptions,
    field_names,
    override,
    parse_change,
)


@pytest.fixture
def recipe(llama, tiny_teacher):
    return Recipe(
        "options",
        str(llama),
        str(tiny_teacher),
        n_compression=3,
        max_tokens=64,
        response=ResponseOptions(max_new_tokens=5),
        losses=LossOptions(recon_tokens=8),
        optim=OptimOptions(steps=5, batch=4, warmup=1, lr_rows=1e-2, lr_recon=1e-2),
    )


def test_overrides_reach_every_field_and_name_what_there_is():
    recipe = RECIPES.get("smollm2-135m-minilm")
    for name in field_names(recipe):
        group, _, last = name.rpartition(".")
        value = getattr(getattr(recipe, group) if group else recipe, last)
        assert override(recipe, {name: "none" if value is None else str(value)}) == recipe
    assert parse_change("optim.steps=7") == ("optim.steps", "7")
    for changes, told in (
        ({"optim.stepz": 1}, r"there is no field 'optim.stepz'.*optim.steps, optim.batch"),
        ({"optim": 1}, "is a group of fields"),
        ({"optim.steps": "many"}, "must be a whole number, not 'many'"),
        ({"response.source": "x"}, "one of own, echo, none"),
        ({"losses.align": 0, "losses.recon": 0}, "both losses are off"),
        ({"optim.align_last": -1}, "optim.align_last is -1: it must be a whole number, at least 0"),
        ({"n_compression": 0}, "at least 1"),
        ({"losses.recon_positions": 0}, "from above 0 to 1"),
        ({"unsupervised.power": 0.6}, "unsupervised.power is 0.6: it goes from 0 to 0.5"),
        ({"views.answer": 0.9}, "sum to"),
    ):
        with pytest.raises(InputError, match=told):
            override(recipe, changes)


def test_changes_that_only_hold_together_are_made_together():
    views = {"views.answer": 0.5, "views.document": 0.5, "views.meaning": 0, "views.topic": 0}
    assert override(RECIPES.get("smollm2-135m-minilm"), views).views.document == 0.5
    changed = override(RECIPES.get("smollm2-135m-minilm"), {"max_tokens": 8, "n_compression": 4})
    assert (changed.max_tokens, changed.n_compression) == (8, 4)


def test_shipped_recipes_keep_their_digests():
    assert RECIPES.get("smollm2-135m-minilm").digest() == "6d0b88078636be8f"
    assert RECIPES.get("smollm2-135m").digest() == "c5a68519c19fd5f2"
    assert RECIPES.get("gemma3-270m").digest() == "58de2e2556158351"


def test_every_named_recipe_has_a_backbone_and_a_teacher():
    from genzoo.backbones.entries import BACKBONES
    from genzoo.teachers.teachers import TEACHERS

    for name in RECIPES.names():
        recipe = RECIPES.get(name)
        assert recipe.name == name
        assert recipe.backbone in BACKBONES
        assert recipe.teacher in (*TEACHERS.names(), "unsupervised")
        assert recipe.unsupervised.whiten <= BACKBONES.get(recipe.backbone).hidden_size
    for family in ("qwen3-0.6b", "qwen2.5-7b", "llama-3.2-1b", "mistral-7b-instruct-v0.3", "gemma3-270m"):
        assert family in RECIPES


def test_recipe_digest_sees_changes_but_not_names():
    recipe = RECIPES.get("smollm2-135m")
    assert replace(recipe, name="other").digest() == recipe.digest()
    assert replace(recipe, seed=1).digest() != recipe.digest()
    assert replace(recipe, optim=replace(recipe.optim, batch=25)).digest() != recipe.digest()
