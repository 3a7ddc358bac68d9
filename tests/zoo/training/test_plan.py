"""What is told before and during a training: size, memory, time left."""

import csv
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from genzoo.backbones.entries import BACKBONES
from genzoo.backbones.generation import Query
from genzoo.jobs import Pace
from genzoo.recipes.recipes import RECIPES, override
from genzoo.training.examples import TrainingExample, chosen_for_recon, has_recon, phases_of, plan_batches, step_costs
from genzoo.training.plan import backbone_row, make_plan

QUERIES = [Query(str(i), "where do polar bears live and what do they eat? " * 2) for i in range(5000)]


def test_every_recipe_can_be_planned():
    for name in RECIPES.names():
        plan = make_plan(RECIPES.get(name), QUERIES, 70e9)
        rows = dict(plan.rows())
        assert "M parameters" in rows["backbone"]
        assert plan.n_trained
        assert plan.memory > 4 * BACKBONES.get(plan.recipe.backbone).n_parameters
        assert all(value > 0 for value in plan.seconds().values())
    rows = dict(make_plan(RECIPES.get("llama-3.2-1b"), QUERIES, 70e9).rows())
    assert "gated: https://huggingface.co/meta-llama/Llama-3.2-1B-Instruct" in rows["backbone"]


def test_plan_follows_the_recipe(llama):
    recipe = override(RECIPES.get("smollm2-135m-minilm"), {"exit_layer": 0, "policy.examples": None})
    plan = make_plan(recipe, QUERIES, 70e9)
    assert plan.n_trained == 10 * 576 + 576 * 577 + 384 * 577
    assert plan.response_tokens == 5000 * 64
    smaller = make_plan(override(recipe, {"optim.micro_batch": 4}), QUERIES, 70e9)
    assert smaller.memory < plan.memory
    assert make_plan(override(recipe, {"response.source": "echo"}), QUERIES, 70e9).response_tokens == 0
    assert make_plan(override(recipe, {"losses.recon": 0}), QUERIES, 70e9).training_tokens < plan.training_tokens
    shallow = make_plan(override(recipe, {"exit_layer": 15}), QUERIES, 70e9)
    assert 0.5 * plan.training_tokens < shallow.training_tokens < 0.8 * plan.training_tokens
    assert shallow.memory < plan.memory
    assert dict(shallow.rows())["tokens read after"] == "layer 15 of 30"
    assert "tokens read after" not in dict(plan.rows())
    unknown = make_plan(override(recipe, {"backbone": "org/name"}), QUERIES, 70e9)
    assert dict(unknown.rows())["time"].startswith("unknown")
    row = backbone_row(str(llama))
    assert row.n_parameters == AutoModelForCausalLM.from_pretrained(llama).num_parameters()
    assert row.vocab_size == AutoConfig.from_pretrained(llama).vocab_size


def test_five_thousand_queries_fit_into_the_promised_time():
    """By the plan, on the measured speed of one thread of a small machine, two of which are there."""
    recipe = override(RECIPES.get("smollm2-135m"), {"response.max_new_tokens": 64})
    assert sum(make_plan(recipe, QUERIES, 2 * 72e9).seconds().values()) < 2.55 * 3600


def test_time_left_is_right_after_the_first_tenth():
    """Also where the first steps are cheap, as they are without the reconstruction loss."""
    recipe = override(RECIPES.get("smollm2-135m"), {"optim.steps": 100, "optim.align_first": 10, "optim.batch": 8})
    examples = [TrainingExample("a text of some length " * (1 + i % 5), "an answer " * 9, True) for i in range(800)]
    costs = step_costs(recipe, plan_batches(recipe, examples))
    assert costs[5] < costs[50]
    half = step_costs(recipe, plan_batches(recipe, examples), depth=0.5)
    assert half[5] == pytest.approx(0.5 * costs[5])  # encoding alone
    assert 0.5 * costs[50] < half[50] < costs[50]  # the reconstruction uses the whole backbone
    now = 0.0
    pace = Pace(costs, clock=lambda: now)
    for done, cost in enumerate(costs[:10], 1):
        now += 0.01 * cost
        left = pace.seconds_left(done)
    assert left == pytest.approx(0.01 * sum(costs[10:]), rel=0.25)
    assert Pace([1.0, 1.0]).seconds_left(0) is None


def test_time_left_was_right_on_a_real_run():
    """Costs and measured seconds of the 420 steps of smollm2-135m-minilm on two busy cores; its first 40 steps are the cheap ones."""
    with (Path(__file__).parents[2] / "golden" / "training_steps.csv").open(encoding="utf-8") as file:
        costs, seconds = zip(*([float(value) for value in row] for row in list(csv.reader(file))[1:]), strict=True)
    now = seconds[0]
    pace = Pace(costs, 1, clock=lambda: now)  # the first step warms up: a run counts from its end
    for done in range(2, len(costs)):
        now += seconds[done - 1]
        if done in (42, 84, 210, 336):
            assert pace.seconds_left(done) == pytest.approx(sum(seconds[done:]), rel=0.25)


def steps_of(recipe):
    return [phase.steps for phase in phases_of(recipe)]


def test_batches_hold_every_example_once_and_depend_on_the_seed_alone():
    recipe = override(
        RECIPES.get("smollm2-135m"), {"optim.steps": 40, "optim.align_last": 0, "optim.recon_last": 0, "optim.batch": 8}
    )
    examples = [TrainingExample(f"text {'x' * (i * 37 % 91)} {i}", "a", True) for i in range(320)]
    batches = plan_batches(recipe, examples)
    assert len(batches) == 40
    assert sorted(one.text for batch in batches for one in batch) == sorted(one.text for one in examples)
    assert batches == plan_batches(recipe, examples)
    assert batches != plan_batches(override(recipe, {"seed": 1}), examples)
    assert chosen_for_recon(recipe, 3, 20) == chosen_for_recon(recipe, 3, 20) != chosen_for_recon(recipe, 4, 20)
    assert len(chosen_for_recon(recipe, 3, 20)) == 7
    more = plan_batches(override(recipe, {"optim.align_last": 10}), examples)
    assert more[:30] == plan_batches(override(recipe, {"optim.steps": 30, "optim.align_last": 0}), examples[:240])
    assert sorted(one.text for batch in more[30:] for one in batch) == sorted(one.text for one in examples[240:])


def test_phases_share_the_steps():
    recipe = override(RECIPES.get("smollm2-135m"), {"optim.steps": 40, "optim.align_last": 10, "optim.recon_last": 0})
    assert steps_of(recipe) == [30, 10]
    assert steps_of(override(recipe, {"optim.align_last": 30})) == [20, 20]
    assert steps_of(override(recipe, {"losses.align": 0})) == [40]
    last = override(recipe, {"optim.recon_last": 8})
    assert steps_of(last) == [22, 10, 8]
    assert steps_of(override(last, {"losses.recon": 0})) == [30, 10]
    assert steps_of(override(last, {"losses.align": 0})) == [32, 8]


def test_when_and_where_the_reconstruction_is_scored():
    recipe = RECIPES.get("smollm2-135m")
    assert has_recon(override(recipe, {"losses.align": 0}), 0)
    assert not has_recon(recipe, recipe.optim.align_first - 1)
    assert has_recon(recipe, recipe.optim.align_first)
