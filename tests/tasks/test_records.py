"""What a run writes beside mteb's results."""

import json

import pytest

from genzoo.errors import ZooError
from genzoo.tasks import evaluate, resolve_tasks

SHA = "0123456789abcdef0123456789abcdef01234567"


FEW = ["GenZooMiniSTS", "GenZooMiniReasoningRetrieval", "GenZooMiniSafetyRetrieval"]


@pytest.fixture
def few():
    return resolve_tasks(None, FEW)[0]


def load(path):
    return json.loads(path.read_text())


def change(path, **fields):
    path.write_text(json.dumps({**load(path), **fields}))


def test_a_kept_speed_outlives_a_run_that_measured_none(make_meta, few, tmp_path):
    evaluate([make_meta()], few, tmp_path)
    environment = tmp_path / "environment" / "test-org__tiny" / f"{SHA}.json"
    change(environment, texts_per_second=123.0)
    evaluate([make_meta()], few, tmp_path, facts={"test-org/tiny": {"role": "teacher"}})
    assert load(environment)["texts_per_second"] == 123.0
    assert load(environment)["role"] == "teacher"
    environment.unlink()
    evaluate([make_meta()], few, tmp_path)
    assert load(environment)["texts_per_second"] is None


@pytest.mark.parametrize("record", ["tasks.json", "benchmarks.json"])
def test_a_damaged_record_is_named(make_meta, few, tmp_path, record):
    (tmp_path / record).write_text("{")
    with pytest.raises(ZooError, match=f"{record} is not JSON"):
        evaluate([make_meta()], few, tmp_path, benchmark_name="Some")
    assert make_meta.loads == []
