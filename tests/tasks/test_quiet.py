import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from genzoo.tasks.evaluation import unconverged


def test_fits_that_did_not_converge_are_counted_and_other_warnings_pass():
    rng = np.random.default_rng(0)
    states, labels = rng.normal(size=(60, 8)) * 1e3, rng.integers(0, 3, 60)
    told = []
    with pytest.warns(UserWarning) as shown, unconverged(told.append):
        for _ in range(3):
            LogisticRegression(max_iter=2).fit(states, labels)
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert told == [3]
    assert [str(one.message) for one in shown] == ["something else"]


def test_nothing_is_told_when_all_is_well():
    told = []
    with unconverged(told.append):
        LogisticRegression(max_iter=500).fit([[0.0], [1.0], [0.1], [0.9]], [0, 1, 0, 1])
    assert told == []
