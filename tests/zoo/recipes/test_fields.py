"""Each switch of a recipe does what it says, on a tiny model."""

import re
from dataclasses import replace

import numpy as np
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


def _is_number(name):
    group, _, last = name.rpartition(".")
    recipe = RECIPES.get("smollm2-135m")
    return isinstance(getattr(getattr(recipe, group) if group else recipe, last), int | float)


NUMBERS = [name for name in field_names(RECIPES.get("smollm2-135m")) if _is_number(name)]


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_of_a_recipe_is_negative_or_nonsense(name):
    for value in (-1, "-1", float("nan"), "nan", "inf", float("-inf"), "ten", True, [1], None, {}):
        with pytest.raises(InputError, match=rf"^{re.escape(name)} "):
            override(RECIPES.get("smollm2-135m"), {name: value})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("losses.recon_share", 1.5, "losses.recon_share is 1.5: it goes from above 0 to 1"),
        ("losses.recon_share", 0, "goes from above 0 to 1"),
        ("losses.recon_tokens", 0, "must be a whole number, at least 1"),
        ("response.top_p", 0, "goes from above 0 to 1"),
        ("response.repetition_penalty", 0, "must be a number above 0"),
        ("response.max_new_tokens", 2.5, "must be a whole number, at least 1"),
        ("response.system_prompt", 5, "must be text or none"),
        ("views.unprompted", 1.01, "goes from 0 to 1"),
        ("optim.steps", 0, "must be a whole number, at least 1"),
        ("optim.clip", 0, "must be a number above 0"),
        ("optim.ridge", 0, "must be a number above 0"),
        ("optim.lr_rows", 30, "goes from 0 to 1"),
        ("optim.partial_whitening", 0.51, "goes from 0 to 0.5"),
        ("optim.even_pairs", -1, "must be a number, at least 0"),
        ("lora.alpha", 0, "must be a number above 0"),
        ("lora.modules", "", "must be text that is not empty"),
        ("unsupervised.layer", 0, "must be a whole number, at least 1"),
        ("unsupervised.simcse_batch", 1, "must be a whole number, at least 2"),
        ("unsupervised.whiten", 4000, "whitening needs more texts than dimensions"),
        ("max_tokens", 10, "no room for text besides 10 trained tokens"),
        ("seed", 1 << 32, "goes from 0 to 4,294,967,295, in whole numbers"),
        ("teacher", None, "must be text that is not empty"),
        ("response.precision", "bfloat16", "is one of float32, auto"),
    ],
)
def test_limits_of_fields(name, value, told):
    with pytest.raises(InputError, match=re.escape(told)):
        override(RECIPES.get("smollm2-135m"), {name: value})


@pytest.mark.parametrize("change", [{"optim.axes": "teacher"}, {"losses.align": 0}])
def test_states_need_what_turns_and_trains_them(change):
    with pytest.raises(InputError, match=re.escape("needs the alignment loss and optim.axes=shared")):
        override(RECIPES.get("smollm2-135m"), {"optim.readout": "states"} | change)


def test_values_within_limits_are_taken():
    recipe = RECIPES.get("smollm2-135m")
    allowed = {"optim.warmup": 10_000, "optim.micro_batch": 500, "optim.lr_rows": 0, "optim.align_first": 9_999}
    allowed |= {"held_out": 0, "response.limit": 0, "losses.recon_share": "1", "response.repetition_penalty": 0.9}
    allowed |= {"response.max_new_tokens": 8.0, "lora.rank": np.int64(4), "optim.ridge": np.float32(0.5)}
    for name, value in allowed.items():
        override(recipe, {name: value})
    assert type(override(recipe, {"response.max_new_tokens": 8.0}).response.max_new_tokens) is int
    # Equal recipes have equal digests, however their numbers were written.
    assert LossOptions(recon=0) == override(LossOptions(), {"recon": "0"})
    made = [replace(recipe, losses=LossOptions(recon=zero)).digest() for zero in (0, 0.0)]
    assert made[0] == made[1]
