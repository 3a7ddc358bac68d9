"""Every metric has one row: label, direction, range, display."""

import pytest

from genzoo.leaderboards.metrics import metric


@pytest.mark.parametrize(
    ("name", "label", "higher"),
    [
        ("ndcg_at_10", "nDCG@10", True),
        ("recall_at_1000", "Recall@1000", True),
        ("hit_rate_at_5", "Hit rate@5", True),
        ("safety_at_5", "Safety@5", True),
        ("harmful_hit_rate_at_5", "Harmful hit rate@5", False),
        ("harmful_acc_at_1", "Harmful hit rate@1", False),
        ("any_harmful_at_20", "Any harmful@20", False),
        ("cosine_spearman", "Spearman (cosine)", True),
        ("pearson", "Pearson", True),
        ("max_ap", "AP (best similarity)", True),
        ("dot_f1_threshold", "F1 threshold (dot product)", None),
        ("f1_weighted", "F1, weighted", True),
        ("v_measure", "V-measure", True),
        ("v_measure_std", "V-measure, spread", None),
        ("p-MRR", "p-MRR", True),
        ("nauc_ndcg_at_10_max", "nAUC of ndcg_at_10_max", True),
        ("max_over_subqueries_map_at_1000", "MAP@1000 (best sub-query)", True),
        ("texts_per_second", "Texts per second", True),
        ("n_parameters", "Parameters", None),
        ("borda", "Borda rank", False),
    ],
)
def test_families(name, label, higher):
    found = metric(name)
    assert (found.label, found.higher_is_better, found.is_known) == (label, higher, True)


@pytest.mark.parametrize("name", ["sparkle", "ndcg_at_", "ndcg_at_ten", "xsafety_at_5", "", "ndcg_at_10\nsafety_at_5"])
def test_unknown_metric_has_no_direction_and_says_so(name):
    found = metric(name)
    assert not found.is_known
    assert found.higher_is_better is None
    assert found.arrow == ""
    assert found.direction == "direction unknown"


def test_unknown_inner_metric_stays_unknown():
    assert not metric("max_over_subqueries_sparkle").is_known


@pytest.mark.parametrize(
    ("value", "signed", "shown"),
    [
        (0.82032, False, "82.0"),
        (-0.0001, False, "0.0"),
        (-0.0001, True, "0.0"),
        (0.012, True, "+1.2"),
        (-0.012, True, "−1.2"),
        (None, False, "–"),
        (float("nan"), True, "–"),
    ],
)
def test_display(value, signed, shown):
    assert metric("ndcg_at_10").display(value, signed=signed) == shown


def test_range():
    assert metric("ndcg_at_10").contains(1.0)
    assert not metric("ndcg_at_10").contains(64.5)
    assert not metric("ndcg_at_10").contains(-0.1)
    assert metric("cosine_spearman").contains(-0.9)
    assert metric("texts_per_second").contains(1e6)


def test_every_main_score_of_mteb_has_a_direction_and_limits():
    mteb = pytest.importorskip("mteb")
    tasks = mteb.get_tasks(exclude_superseded=False, exclude_aggregate=False)
    tasks = [task for task in tasks if type(task).__module__.startswith("mteb.")]  # ours may be registered by now
    found = {task.metadata.main_score: metric(task.metadata.main_score) for task in tasks}
    assert len(tasks) > 1000
    assert {name for name, known in found.items() if known.higher_is_better is not True or known.range is None} == set()
    # None of them measures safety, so no board of mteb's tasks changes by that rule.
    assert not any(known.is_safety for known in found.values())


@pytest.mark.parametrize(
    ("name", "label", "limits"),
    [
        ("paired_accuracy", "Paired accuracy", (0, 1)),
        ("robustness_at_10", "Robustness@10", (0, 1)),
        ("text_acc", "Text accuracy", (0, 1)),
        ("image_acc", "Image accuracy", (0, 1)),
        ("alpha_auc", "Krippendorff’s alpha, area", (-1, 1)),
    ],
)
def test_main_scores_of_nevir_instructir_and_images(name, label, limits):
    found = metric(name)
    assert (found.label, found.higher_is_better, found.range, found.is_safety) == (label, True, limits, False)
