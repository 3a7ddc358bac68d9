"""Publishing to the loopback Hub with the real clients."""

import dataclasses
import json
import multiprocessing
import os
import re
import threading

import numpy as np
import pytest
import yaml
from conftest_builders import build_checkpoint
from huggingface_hub import ModelCard
from loopback_hub import Cut, Fault, Hub, serve

from genzoo.errors import InputError, PublishError
from genzoo.publishing.hub import attempt, check_endpoint, connect
from genzoo.publishing.plan import ALLOWED, PublishOptions, build_plan
from genzoo.publishing.publisher import publish

REPO = "alice/Tiny-LLM2Vec-Gen"


def still(_):
    """Waits for nothing."""


def run(plan, api):
    return publish(plan, api, sleep=still)


def held(hub, revision="main"):
    """What readers of the repository get, without what the Hub itself puts in."""
    if ("model", REPO) not in hub.repos:
        return {}
    return {path: data for path, data in hub.contents("model", REPO, revision).items() if path != ".gitattributes"}


def meant(plan):
    return {file.path: file.source.read_bytes() for file in plan.files}


def test_one_commit_read_back_tagged_and_only_then_public(plan, server, api, route):
    done = run(plan, api)
    repo = server.hub.repos["model", REPO]
    assert held(server.hub, done.commit) == meant(plan)
    assert len(repo.commits) == 2  # the Hub's own first one, and ours
    assert repo.commits[done.commit].parent is not None
    assert repo.tags == {"v1": done.commit}
    assert not repo.is_private
    asked = server.hub.requests
    assert [r for r in asked if "/commit/" in r and r.startswith("POST")] == [f"POST /api/models/{REPO}/commit/main"]
    assert any("/xet/" in r for r in asked) == (route == "xet")
    assert any("/_lfs/" in r for r in asked) == (route == "lfs")
    # Everything that is stored without a sha256 of its own was fetched again; the tag and the visibility come last.
    first_read = asked.index(f"POST /api/models/{REPO}/commit/main")
    assert sum("/resolve/" in r for r in asked[first_read:]) == sum(
        not f.path.endswith(".safetensors") for f in plan.files
    )
    assert asked[-2:] == [f"POST /api/models/{REPO}/tag/{done.commit}", f"PUT /api/models/{REPO}/settings"]


def test_again_changes_nothing(plan, server, api, lfs_only):
    first = run(plan, api)
    again = run(plan, api)
    assert (again.commit, again.is_new) == (first.commit, False)
    assert len(server.hub.repos["model", REPO].commits) == 2


def test_another_model_is_never_replaced_unasked(plan, server, api, lfs_only, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "old.txt").write_text("old")
    server.hub.import_folder("model", REPO, tmp_path)
    before = held(server.hub)
    with pytest.raises(PublishError, match=r"holds another model.*--overwrite"):
        run(plan, api)
    assert held(server.hub) == before
    run(dataclasses.replace(plan, overwrite=True), api)
    assert held(server.hub) == meant(plan)


def test_a_tag_is_never_moved(plan, server, api, lfs_only, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    server.hub.import_folder("model", REPO, tmp_path)
    repo = server.hub.repos["model", REPO]
    repo.tags["v1"] = repo.branches["main"]
    with pytest.raises(PublishError, match=r"points to commit .* already"):
        run(dataclasses.replace(plan, overwrite=True), api)
    assert held(server.hub) == {"README.md": b"mine"}


def test_private_stays_private(plan, server, api, lfs_only):
    run(dataclasses.replace(plan, is_private=True, tag=None), api)
    assert server.hub.repos["model", REPO].is_private
    assert server.hub.repos["model", REPO].tags == {}


def test_problems_stop_it_before_the_first_request(plan, server, api):
    with pytest.raises(PublishError, match="1 problems stand in the way: the licence"):
        run(dataclasses.replace(plan, problems=("the licence",)), api)
    assert server.hub.requests == []


def test_damage_on_the_way_is_found(plan, server, api, lfs_only, monkeypatch):
    from loopback_hub import routes

    def spoil(request, *parts):
        status, headers, data = resolve(request, *parts)
        return status, headers, data[:-1] + b"?" if request.path.endswith("modules.json") else data

    resolve = routes.resolve_file
    monkeypatch.setattr(routes, "ROUTES", tuple((p, spoil if r is resolve else r) for p, r in routes.ROUTES))
    with pytest.raises(PublishError, match=r"modules\.json in .* has sha256"):
        run(plan, api)
    assert server.hub.repos["model", REPO].is_private
    assert not server.hub.repos["model", REPO].tags


# -- faults --------------------------------------------------------------------------------------------------------

CASES = []


def settle(plan, hub, before):
    """The promise: as before, or complete; and hidden until it is complete."""
    now = held(hub)
    assert now in (before, meant(plan)), sorted(now)
    if now != meant(plan) and not before and ("model", REPO) in hub.repos:
        assert hub.repos["model", REPO].is_private
    CASES.append(1)


def n_requests(plan, users, token):
    with serve(Hub(users)) as running:
        run(plan, connect(running.endpoint, token))
        return list(running.hub.requests)


@pytest.fixture
def quick(lfs_only, monkeypatch):
    """The client library waits a second and more between its own tries of an upload."""
    from huggingface_hub.utils import _http, logging

    monkeypatch.setattr(_http.time, "sleep", still)
    logging.set_verbosity_error()
    yield
    logging.set_verbosity_warning()


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "answer lost"])
@pytest.mark.parametrize("times", [1, 1000], ids=["once", "for good"])
def test_connection_cut_at_every_request(plan, users, token, quick, is_done, times):
    for place in range(len(n_requests(plan, users, token))):
        with serve(Hub(users)) as running:
            running.hub.faults = [Cut(".", skip=place, is_done=is_done, times=times)]
            api = connect(running.endpoint, token)
            try:
                run(plan, api)
                assert times == 1
            except PublishError as error:
                assert "run the same command again" in str(error)
                assert "is as it was" in str(error) or "holds the whole model" in str(error), str(error)
            settle(plan, running.hub, {})
            running.hub.faults = []
            run(plan, api)
            assert held(running.hub) == meant(plan)
            assert not running.hub.repos["model", REPO].is_private


@pytest.mark.parametrize("status", [401, 403, 409, 412, 429, 500, 503])
def test_error_status_at_every_step(plan, users, token, quick, status):
    steps = list(
        dict.fromkeys(re.sub(r"/_lfs/.*|/resolve/.*|/[0-9a-f]{40}.*", "", r) for r in n_requests(plan, users, token))
    )
    assert len(steps) >= 9
    for step in steps:
        with serve(Hub(users)) as running:
            running.hub.faults = [Fault(f"^{re.escape(step)}", status, times=1000)]
            api = connect(running.endpoint, token)
            try:
                run(plan, api)
            except PublishError as error:
                assert re.search("again|token|write|hides", str(error)), str(error)
                assert str(status) in str(error) or status in (401, 403, 409, 412, 429), str(error)
            settle(plan, running.hub, {})
            running.hub.faults = []
            run(plan, api)
            assert held(running.hub) == meant(plan)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_overcome(plan, server, api, quick, status):
    server.hub.faults = [Fault("POST .*/commit/", status), Fault("GET .*/refs", status), Fault("POST .*/tag/", status)]
    run(plan, api)
    assert held(server.hub) == meant(plan)


def test_cut_while_replacing_leaves_the_old_or_the_new(plan, users, token, quick, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    replace = dataclasses.replace(plan, overwrite=True)
    for place in range(0, len(n_requests(plan, users, token)) - 2, 2):  # the repository is there: two requests fewer
        with serve(Hub(users)) as running:
            running.hub.import_folder("model", REPO, tmp_path)
            running.hub.faults = [Cut(".", skip=place, is_done=bool(place % 4), times=1000)]
            api = connect(running.endpoint, token)
            with pytest.raises(PublishError):
                run(replace, api)
            settle(plan, running.hub, {"README.md": b"mine"})
            running.hub.faults = []
            run(replace, api)
            assert held(running.hub) == meant(plan)


def _publish_and_die(plan, endpoint, token):
    publish(plan, connect(endpoint, token), sleep=still)
    os._exit(0)


def test_killed_at_every_request(plan, users, token, quick):
    """The publisher is a process of its own, killed with SIGKILL when its n-th request arrives, before or after it is done."""
    fork = multiprocessing.get_context("fork")  # the child starts with everything imported

    class Kill(Cut):
        def strikes(self, request):
            found = super().strikes(request)
            if found:
                child.kill()
            return found

    for place in range(len(n_requests(plan, users, token))):
        with serve(Hub(users)) as running:
            running.hub.faults = [Kill(".", skip=place, is_done=bool(place % 2))]
            child = fork.Process(target=_publish_and_die, args=(plan, running.endpoint, token))
            child.start()
            child.join(60)
            assert child.exitcode == -9
            settle(plan, running.hub, {})
            running.hub.faults = []
            run(plan, connect(running.endpoint, token))
            assert held(running.hub) == meant(plan)


def test_two_publishers_at_once(plan, users, token, quick, qwen3, tmp_path):
    """Two different models, one name: one wins whole, the other is told."""
    checkpoint = build_checkpoint(qwen3, seed=1).save(tmp_path / "c")
    options = PublishOptions(merge=True, licence="apache-2.0", training_data="ours", base_model="alice/tiny-backbone")
    other = build_plan(str(checkpoint), REPO, tmp_path / "staging", options)
    for _ in range(5):
        with serve(Hub(users)) as running:
            results = []

            def go(one, endpoint=running.endpoint, results=results):
                try:
                    results.append(run(one, connect(endpoint, token)))
                except PublishError as error:
                    results.append(error)

            threads = [threading.Thread(target=go, args=(one,)) for one in (dataclasses.replace(plan, tag=None), other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            lost = [result for result in results if isinstance(result, PublishError)]
            assert len(lost) == 1
            assert re.search("somebody else|holds another model", str(lost[0]))
            assert held(running.hub) in (meant(plan), meant(other))
            CASES.append(1)


def test_two_publishers_of_the_same_model_both_succeed(plan, users, token, quick):
    with serve(Hub(users)) as running:
        results = []

        def go():
            results.append(run(plan, connect(running.endpoint, token)))

        threads = [threading.Thread(target=go) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({result.commit for result in results}) == 1
        assert held(running.hub) == meant(plan)


@pytest.mark.parametrize("step", ["export", "card", "fingerprint"])
def test_full_disk_stops_before_the_first_request(qwen3, tmp_path, monkeypatch, step):
    from genzoo.errors import ZooError

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    from sentence_transformers import SentenceTransformer

    import genzoo.files

    if step == "export":
        monkeypatch.setattr(SentenceTransformer, "save_pretrained", full)
    else:
        names = {"card": "README.md", "fingerprint": "fingerprint.json"}
        real = genzoo.files.Path.write_text
        monkeypatch.setattr(
            genzoo.files.Path, "write_text", lambda self, *a, **k: full() if names[step] in self.name and "staging" in str(self) else real(self, *a, **k)
        )  # fmt: skip
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "c")
    with pytest.raises(ZooError, match="No space left"):
        build_plan(str(checkpoint), REPO, tmp_path / "staging", PublishOptions(merge=True))
    CASES.append(1)


def test_count_of_fault_cases(request):
    """Printed with -s or in the report of the run; asserted so that a case cannot silently vanish."""
    if len(request.session.items) > 20:
        assert len(CASES) >= 250, len(CASES)
    print(f"fault cases: {len(CASES)}")


# -- who may, and where to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [("hf_nobody", "does not accept the token"), ("hf_reader", "may not write to"), ("hf_other", "may not write to")],
)
def test_wrong_token(plan, server, quick, given, told):
    with pytest.raises(PublishError, match=told) as caught:
        run(plan, connect(server.endpoint, given))
    assert given not in str(caught.value)
    assert held(server.hub) == {}


@pytest.mark.parametrize(
    "endpoint",
    ["http://huggingface.co", "http://10.0.0.1", "ftp://x", "http://127.0.0.1.evil.example", "https://u:p@h.co"],
)
def test_token_never_goes_over_an_open_line(endpoint):
    with pytest.raises(PublishError, match="HF_ENDPOINT"):
        check_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["https://huggingface.co", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"]
)
def test_safe_endpoints(endpoint):
    check_endpoint(endpoint)


def test_waits_as_long_as_the_hub_asks():
    class Slow(Exception):
        response = type("R", (), {"status_code": 429, "headers": {"Retry-After": "7"}})

    waits, calls = [], []

    def call():
        calls.append(1)
        if len(calls) < 3:
            raise Slow
        return "done"

    assert attempt(call, waits.append) == "done"
    assert waits == [7.0, 7.0]


# -- the plan ------------------------------------------------------------------------------------------------------


def test_plan_holds_what_may_go_up_and_nothing_else(plan, tmp_path_factory):
    assert not plan.problems
    paths = [file.path for file in plan.files]
    assert paths == sorted(paths)
    assert {"README.md", "fingerprint.json", "genzoo.json", "modules.json", "model.safetensors"} <= set(paths)
    assert all(any(re.fullmatch(pattern, path) for pattern in ALLOWED) for path in paths)
    assert not [path for path in paths if path.endswith((".bin", ".pt", ".py", ".env"))]
    for file in plan.files:
        text = file.source.read_bytes()
        assert file.size == len(text)
        if file.path.endswith((".md", ".json")):
            assert str(tmp_path_factory.getbasetemp()).encode() not in text, file.path


def test_what_lies_beside_the_model_stays_at_home(qwen3, tmp_path):
    folder = build_checkpoint(qwen3).save(tmp_path / "c")
    for name in (".env", "optimizer.pt", "notes.txt", "__pycache__/x.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("secret")
    made = build_plan(str(folder), REPO, tmp_path / "staging", PublishOptions(licence="mit", merge=True))
    assert made.left_out == (".env", "__pycache__/x.pyc", "notes.txt", "optimizer.pt")
    assert b"secret" not in b"".join(file.source.read_bytes() for file in made.files)


def test_plan_is_the_same_every_time(plan, options, qwen3, tmp_path):
    """Or a second run could not tell that the first had finished."""
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "checkpoint")
    again = build_plan(str(checkpoint), REPO, tmp_path / "staging", options)
    assert {f.path: f.sha256 for f in again.files} == {f.path: f.sha256 for f in plan.files}


def problems(qwen3, tmp_path, repo=REPO, **options):
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "c")
    return " / ".join(build_plan(str(checkpoint), repo, tmp_path / "s", PublishOptions(**options)).problems)


def test_lint_names_everything_at_once(qwen3, tmp_path):
    told = problems(qwen3, tmp_path)
    for part in ("--licence", "--training-data", "--base-model"):
        assert part in told


def test_llama_licence(qwen3, tmp_path):
    options = {
        "licence": "llama3.2",
        "training_data": "ours",
        "base_model": "meta-llama/Llama-3.2-1B-Instruct",
        "merge": True,
    }
    told = problems(qwen3, tmp_path, **options)
    assert "must begin with 'Llama'" in told
    assert "no LICENSE file" in told
    import shutil

    own = shutil.copytree(qwen3, tmp_path / "with-licence")
    (own / "LICENSE").write_text("LLAMA 3.2 COMMUNITY LICENSE AGREEMENT")
    checkpoint = build_checkpoint(own).save(tmp_path / "d")
    made = build_plan(str(checkpoint), "alice/Llama-3.2-1B-LLM2Vec-Gen", tmp_path / "t", PublishOptions(**options))
    assert not made.problems
    texts = {
        file.path: file.source.read_text() for file in made.files if file.path in ("LICENSE", "NOTICE", "README.md")
    }
    assert "COMMUNITY LICENSE" in texts["LICENSE"]
    assert "Llama 3.2 is licensed under the Llama 3.2 Community License" in texts["NOTICE"]
    assert "**Built with Llama**" in texts["README.md"]


def test_gemma_terms_are_passed_on(qwen3, tmp_path):
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "c")
    options = PublishOptions(licence="gemma", training_data="ours", base_model="google/gemma-3-270m", merge=True)
    made = build_plan(str(checkpoint), REPO, tmp_path / "s", options)
    (notice,) = [file.source.read_text() for file in made.files if file.path == "NOTICE"]
    assert "ai.google.dev/gemma/terms" in notice


def test_licence_is_inherited():
    from pathlib import Path

    from genzoo.publishing.licences import lint_licence

    assert "inherits" in lint_licence("mit", "apache-2.0", REPO, [])[0]
    assert "none that the Hub knows" in lint_licence("free", "", REPO, [])[0]
    assert "by hand" in lint_licence("other", "other", REPO, [])[0]
    assert lint_licence("apache-2.0", "apache-2.0", REPO, [Path("LICENSE")]) == []


@pytest.mark.parametrize("repo", ["tiny", "a/b/c", "../x/y", "a/-b c", "alice/../bob", ""])
def test_bad_repository_name(qwen3, tmp_path, repo):
    checkpoint = build_checkpoint(qwen3).save(tmp_path / "c")
    with pytest.raises(InputError, match="write org/name"):
        build_plan(str(checkpoint), repo, tmp_path / "s", PublishOptions())


def test_card_metadata_and_usage(plan, tmp_path):
    (card_file,) = [file.source for file in plan.files if file.path == "README.md"]
    card = ModelCard.load(card_file)
    data = card.data.to_dict()
    assert (data["license"], data["base_model"], data["base_model_relation"]) == (
        "apache-2.0",
        "alice/tiny-backbone",
        "finetune",
    )
    assert data["library_name"] == "sentence-transformers"
    assert "{{" not in card.text
    assert "{%" not in card.text
    code = re.search(r"```python\n(.*?)```", card.text, re.S)[1]
    printed = re.search(r"printed:\n\n```\n(.*?)\n```", card.text, re.S)[1]
    from contextlib import redirect_stdout
    from io import StringIO

    folder = plan.files[0].source
    while not (folder / "modules.json").is_file():
        folder = folder.parent
    out = StringIO()
    with redirect_stdout(out):
        exec(code.replace(f'"{REPO}", revision="v1"', f'"{folder}", device="cpu"'), {})  # noqa: S102 - the card's own code
    assert out.getvalue().strip() == printed
    assert np.isfinite([float(number) for number in re.findall(r"-?\d\.\d+", printed)]).all()


def test_eval_results_are_read_back_by_the_client(plan, server, api, lfs_only, tmp_path):
    from genzoo.publishing.scores import CardScore, CardScores, write_eval_results

    row = CardScore(
        "STSBenchmark", "Spearman ↑", "82.0", "–", 82.0325, 80.1, 83.9, "mteb/stsbenchmark-sts", "b" * 40, "2026-11-22"
    )
    local = CardScore("GenZooMiniSTS", "Spearman ↑", "56.6", "66.3", 56.6)
    (written,) = write_eval_results(CardScores((row, local)), tmp_path)
    assert yaml.safe_load(written.read_text())[0]["dataset"] == {
        "id": "mteb/stsbenchmark-sts",
        "task_id": "STSBenchmark",
        "revision": "b" * 40,
    }
    assert (row.interval, local.interval) == ("[80.1, 83.9]", "–")
    server.hub.import_folder("model", REPO, tmp_path)
    (found,) = api.model_info(REPO, expand=["evalResults"]).eval_results
    assert (found.dataset_id, found.task_id, found.value) == ("mteb/stsbenchmark-sts", "STSBenchmark", 82.0325)


def test_adapter_form_names_its_base_and_its_commit(qwen3, tmp_path):
    checkpoint = build_checkpoint(qwen3)
    options = PublishOptions(licence="mit", training_data="ours", base_model="alice/tiny-backbone")
    made = build_plan(str(checkpoint.save(tmp_path / "c")), REPO, tmp_path / "s", options)
    (adapter,) = [json.loads(file.source.read_text()) for file in made.files if file.path == "adapter_config.json"]
    assert adapter["base_model_name_or_path"] == "alice/tiny-backbone"
    assert not made.problems
    assert made.size < 1_000_000
