"""No text is encoded twice, and no vector is ever another's."""

import multiprocessing
import shutil
import sqlite3
import zlib

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from genzoo.errors import ZooError
from genzoo.tasks import embedding_cache, evaluate, resolve_tasks
from genzoo.tasks.embedding_cache import EmbeddingCache
from genzoo.tasks.model_session import EncodeSettings

TEXTS = [f"text number {n} of many words" for n in range(20)]


@pytest.fixture
def model(make_meta):
    inner = make_meta().loader("test-org/tiny").model
    inner.prompts = {"query": "answer ", "document": "restate "}
    return inner


@pytest.fixture
def seen(model, monkeypatch):
    """The texts that really reach the model."""
    texts = []
    encode = SentenceTransformer.encode

    def watched(self, inputs, *args, **kwargs):
        texts.extend(inputs)
        return encode(self, inputs, *args, **kwargs)

    monkeypatch.setattr(SentenceTransformer, "encode", watched)
    return texts


def cached(model, folder, meta):
    return EmbeddingCache(folder, meta, model).attach()


def test_bit_equal_and_encoded_once(model, seen, make_meta, tmp_path):
    expected = model.encode(TEXTS)
    seen.clear()
    cache = cached(model, tmp_path, make_meta())
    assert np.array_equal(model.encode(TEXTS), expected)
    assert np.array_equal(model.encode(TEXTS[::-1] + TEXTS), np.concatenate([expected[::-1], expected]))
    assert seen == TEXTS
    assert cache.texts == len(TEXTS)
    assert cache.seconds > 0
    tensor = model.encode(TEXTS, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), expected)


def test_the_prompt_is_part_of_the_key_however_it_is_given(model, seen, make_meta, tmp_path):
    expected = {name: model.encode(TEXTS, prompt_name=name) for name in ("query", "document")}
    cached(model, tmp_path, make_meta())
    seen.clear()
    for name, vectors in expected.items():
        assert np.array_equal(model.encode(TEXTS, prompt_name=name), vectors)
        assert np.array_equal(model.encode(TEXTS, prompt=model.prompts[name]), vectors)
    assert len(seen) == 2 * len(TEXTS)
    model.prompts["query"] = "another "
    changed = model.encode(TEXTS, prompt_name="query")
    assert not np.array_equal(changed, expected["query"])
    assert len(seen) == 3 * len(TEXTS)


def test_options_that_change_the_numbers_are_part_of_the_key(model, make_meta, tmp_path):
    plain, unit = model.encode(TEXTS), model.encode(TEXTS, normalize_embeddings=True)
    cached(model, tmp_path, make_meta())
    for _ in range(2):
        assert np.array_equal(model.encode(TEXTS), plain)
        assert np.array_equal(model.encode(TEXTS, normalize_embeddings=True), unit)
        assert np.array_equal(model.encode(TEXTS, batch_size=3), plain)
        assert model.encode(TEXTS, truncate_dim=5).shape == (20, 5)


def test_another_revision_or_length_limit_shares_nothing(make_meta, tmp_path):
    vectors = []
    for seed, revision in ((0, "a" * 40), (1, "b" * 40), (0, "a" * 40)):
        meta = make_meta(revision=revision, seed=seed)
        model = meta.load_model().model
        cached(model, tmp_path, meta)
        vectors.append(model.encode(TEXTS))
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.array_equal(vectors[0], vectors[1])


def test_one_text_and_other_inputs_go_straight_through(model, make_meta, tmp_path):
    expected = model.encode(TEXTS[0]), model.encode(TEXTS, precision="int8")
    cached(model, tmp_path, make_meta())
    assert np.array_equal(model.encode(TEXTS[0]), expected[0])
    assert model.encode(TEXTS, precision="int8").dtype == np.int8
    assert model.encode([]).shape[0] == 0


def test_a_damaged_row_is_made_again(model, seen, make_meta, tmp_path):
    cache = cached(model, tmp_path, make_meta())
    expected = model.encode(TEXTS)
    cache.close()
    with sqlite3.connect(cache.file.path) as base:
        key, vector = base.execute("SELECT key, vector FROM vectors LIMIT 1").fetchone()
        base.execute("UPDATE vectors SET vector = ? WHERE key = ?", (vector[:-1] + bytes([vector[-1] ^ 1]), key))
    del model.encode
    seen.clear()
    cached(model, tmp_path, make_meta())
    assert np.array_equal(model.encode(TEXTS), expected)
    assert len(seen) == 1


def test_a_file_that_is_no_cache_is_one_clear_error(model, make_meta, tmp_path):
    cache = cached(model, tmp_path, make_meta())
    cache.close()
    for file in cache.file.path.parent.iterdir():
        file.write_bytes(b"not a data base, and long enough to be looked at" * 40)
    del model.encode
    with pytest.raises(ZooError, match=r"embedding cache .* delete it and run again"):
        cached(model, tmp_path, make_meta()).encode(TEXTS)


def test_a_kill_loses_one_block_at_most(model, make_meta, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_cache, "BLOCK", 6)
    calls = []
    encode = SentenceTransformer.encode

    def dies(self, inputs, *args, **kwargs):
        calls.append(len(inputs))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(self, inputs, *args, **kwargs)

    monkeypatch.setattr(SentenceTransformer, "encode", dies)
    cached(model, tmp_path, make_meta())
    with pytest.raises(KeyboardInterrupt):
        model.encode(TEXTS)
    del model.encode
    cached(model, tmp_path, make_meta())
    found = model.encode(TEXTS)
    assert calls == [6, 6, 6, 6, 2]
    assert np.array_equal(found, encode(model, TEXTS))


def test_a_run_with_and_without_it_gives_the_same_scores(make_meta, tmp_path):
    tasks, _ = resolve_tasks(None, ["GenZooMiniRetrieval", "GenZooMiniSTS", "GenZooMiniIntentClassification"])
    plain = evaluate([make_meta()], tasks, tmp_path / "plain")
    settings = EncodeSettings(cache=tmp_path / "cache")
    for folder in ("first", "second"):
        found = evaluate([make_meta()], tasks, tmp_path / folder, settings=settings)
        assert [r.scores for r in found[0].task_results] == [r.scores for r in plain[0].task_results]


def test_what_no_score_can_be_made_of_is_not_kept(model, make_meta, tmp_path, monkeypatch):
    """Neither a new one, nor one that an earlier version kept: the text is encoded again."""
    whole = model.encode(TEXTS)
    encode, broken = SentenceTransformer.encode, {"on": True}

    def overflowing(self, inputs, *args, **kwargs):
        vectors = encode(self, inputs, *args, **kwargs)
        return np.where([[broken["on"] and text == TEXTS[3]] for text in inputs], np.float32("nan"), vectors)

    monkeypatch.setattr(SentenceTransformer, "encode", overflowing)
    cache = cached(model, tmp_path, make_meta())
    assert np.isnan(model.encode(TEXTS)[3]).all()
    broken["on"] = False
    assert np.array_equal(model.encode(TEXTS), whole)
    key = cache._keys(TEXTS[:1], {})[0]
    bad = np.full(whole.shape[1], np.nan, dtype=np.float32).tobytes()
    cache.file._base.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", (key, bad, zlib.crc32(key + bad)))
    assert np.array_equal(model.encode(TEXTS), whole)


def test_one_document_without_an_embedding_stops_the_task(make_meta, tmp_path):
    """mteb itself would give a finite score, and a wrong one."""
    tasks, _ = resolve_tasks(None, ["GenZooMiniRetrieval"])

    def spoilt(encode):
        def inner(inputs, *, prompt_type=None, **kwargs):
            vectors = np.array(encode(inputs, prompt_type=prompt_type, **kwargs))
            if str(getattr(prompt_type, "value", prompt_type)) == "document":
                vectors[7] = np.nan
            return vectors

        return inner

    with pytest.raises(ZooError, match=r"NaN or infinite values among .* embeddings, the first for the text '"):
        evaluate([make_meta(encode=spoilt)], tasks, tmp_path)
    assert not list((tmp_path / "results").rglob("GenZoo*.json"))


@pytest.fixture
def in_the_old_way(model, make_meta, tmp_path):
    """A cache with a write-ahead log as a killed process leaves it: all vectors stand in the log alone."""
    cache = cached(model, tmp_path / "alive", make_meta())
    expected = model.encode(TEXTS)
    cache.close()
    del model.encode
    with sqlite3.connect(cache.file.path) as base:
        rows = base.execute("SELECT * FROM vectors").fetchall()
        base.execute("DELETE FROM vectors")
        base.commit()
        base.execute("PRAGMA journal_mode=WAL")
        base.executemany("INSERT INTO vectors VALUES (?, ?, ?)", rows)
        base.commit()
        shutil.copytree(tmp_path / "alive", tmp_path / "killed")
    base.close()
    killed = tmp_path / "killed" / cache.file.path.relative_to(tmp_path / "alive")
    assert killed.with_name(f"{killed.name}-wal").stat().st_size > len(rows) * 24 * 4
    return tmp_path / "killed", killed, expected


def test_a_cache_with_a_write_ahead_log_is_read_and_loses_the_log(in_the_old_way, model, seen, make_meta):
    folder, path, expected = in_the_old_way
    seen.clear()
    cache = cached(model, folder, make_meta())
    assert np.array_equal(model.encode(TEXTS), expected)
    assert seen == []
    assert {file.name for file in path.parent.iterdir()} == {path.name}  # no log, no memory that processes share
    assert path.read_bytes()[18:20] == b"\x01\x01"
    cache.close()


def test_a_cache_that_an_older_process_has_open_is_used_as_it_is(in_the_old_way, model, seen, make_meta):
    folder, path, expected = in_the_old_way
    other = sqlite3.connect(path)
    other.execute("SELECT count(*) FROM vectors").fetchone()
    seen.clear()
    cached(model, folder, make_meta())
    assert np.array_equal(model.encode(TEXTS), expected)
    assert seen == []
    model.encode(["one more text"] * 2)
    assert other.execute("SELECT count(*) FROM vectors").fetchone() == (len(TEXTS) + 1,)


def write_many(model, meta, folder, number, start):
    """One of several processes: half of its texts are everybody's."""
    embedding_cache.BLOCK = 1  # a transaction for every text
    cached(model, folder, meta)
    start.wait()
    for text in TEXTS:
        model.encode([text, f"{text} of {number}"])


def test_several_processes_share_one_file(model, make_meta, tmp_path):
    processes = multiprocessing.get_context("fork")
    start = processes.Barrier(3)
    writers = [
        processes.Process(target=write_many, args=(model, make_meta(), tmp_path, number, start)) for number in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    cache = cached(model, tmp_path, make_meta())
    model.encode([*TEXTS, *(f"{text} of {number}" for text in TEXTS for number in range(3))])
    assert cache.texts == 0


def test_a_file_that_stays_locked_is_one_clear_error(model, make_meta, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_cache, "_PATIENCE", 0)
    cache = cached(model, tmp_path, make_meta())
    other = sqlite3.connect(cache.file.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ZooError, match=r"locked by another process .* run again when that one has ended"):
        model.encode(TEXTS)


def test_a_full_disk_is_told_as_such(model, make_meta, tmp_path):
    cache = cached(model, tmp_path, make_meta())
    cache.file._base.execute("PRAGMA max_page_count=3")
    with pytest.raises(OSError, match="No space left on device"):
        model.encode([f"{text} {number}" for number, text in enumerate(TEXTS * 20)])
