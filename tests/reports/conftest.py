import pytest

from genzoo.leaderboards import Leaderboard, ResultStore


@pytest.fixture
def board_of(tree):
    """A board of plain tasks: model to its scores, None for a missing one; `main` names the main score of a task."""

    def build(scores, reference=None, tasks=None, parameters=None, **main):
        for model, values in scores.items():
            if parameters:
                tree.model(f"acme/{model}", "r", n_parameters=parameters[model])
            for place, value in enumerate(values):
                task = tasks[place] if tasks else f"T{place}"
                tree.task(task, main=main.get(task, "ndcg_at_10"))
                if value is not None:
                    tree.score((f"acme/{model}", "r"), task, value)
        return Leaderboard.from_store(ResultStore.load(tree.root), reference=reference)

    return build
