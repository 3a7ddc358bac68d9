"""What a pool may be asked for."""

from pathlib import Path

import pytest

from genzoo.errors import InputError
from genzoo.tasks.judging.growing import KeptPool
from genzoo.tasks.judging.pool_request import PoolRequest

GIVEN = {
    "models": ("bm25",),
    "depth": None,
    "n_queries": None,
    "most_disagreed": 0,
    "reopen": False,
    "seed": 0,
    "batch_size": 1,
    "device": None,
    "results": Path(),
    "language": None,
    "endpoints": {},
}
TEXTS = {f"q{place}": f"query {place}" for place in range(9)}


def test_queries_are_drawn_before_the_search_unless_they_depend_on_it(tmp_path):
    new = KeptPool.of(tmp_path)
    assert PoolRequest(**GIVEN).chosen(new, TEXTS).queries == tuple(TEXTS)
    assert len(PoolRequest(**GIVEN | {"n_queries": 4}).chosen(new, TEXTS).drawn) == 4
    assert PoolRequest(**GIVEN | {"n_queries": 4, "most_disagreed": 2}).chosen(new, TEXTS) is None


def test_a_new_pool_is_as_deep_as_the_score_unless_told_otherwise(tmp_path, caplog):
    new = KeptPool.of(tmp_path)
    assert PoolRequest(**GIVEN).depth_of(new) == 10 and not caplog.text
    assert PoolRequest(**GIVEN | {"depth": 5}).depth_of(new) == 5 and "places 6 to 10 unjudged" in caplog.text


@pytest.mark.parametrize("name", ["depth", "n_queries", "batch_size"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(InputError, match=f"{name} is 0: it must be 1 or more"):
        PoolRequest(**GIVEN | {name: 0}).check_numbers()
