"""Equal values get equal ranks, whatever their order, as scipy ranks them."""

import numpy as np
import pytest
from scipy.stats import rankdata

from genzoo.leaderboards.statistics.ties import mid_ranks, weighted_ranks


@pytest.mark.parametrize("seed", range(4))
def test_equal_values_share_the_mean_of_their_ranks(seed):
    values = np.random.default_rng(seed).integers(0, 7, 40).astype(float)
    assert mid_ranks(values).tolist() == rankdata(values).tolist()


def test_ranks_of_a_sample_are_those_of_its_values_written_out():
    rng = np.random.default_rng(1)
    values, counts = rng.integers(0, 5, 12).astype(float), rng.integers(0, 4, (3, 12)).astype(float)
    for row, ranks in zip(counts, weighted_ranks(values, counts), strict=True):
        written_out = rankdata(np.repeat(values, row.astype(int)))
        assert np.repeat(ranks, row.astype(int)).tolist() == written_out.tolist()
