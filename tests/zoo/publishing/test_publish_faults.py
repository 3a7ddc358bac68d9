"""Whatever goes wrong while publishing, the repository holds what it held before or the whole model, and a second run finishes."""

import dataclasses
import multiprocessing
import os
import re
import threading

import pytest
from conftest_builders import build_checkpoint
from loopback_hub import Cut, Fault, Hub, serve

from genzoo.errors import PublishError
from genzoo.hub import connect
from genzoo.publishing.plan import PublishOptions, build_plan
from genzoo.publishing.publish import publish

REPO = "alice/Tiny-LLM2Vec-Gen"


def still(_):
    """Waits for nothing."""


def run(plan, api):
    return publish(plan, api, sleep=still)


def held(hub):
    """What readers of the repository get, without what the Hub itself puts in."""
    if ("model", REPO) not in hub.repos:
        return {}
    return {path: data for path, data in hub.contents("model", REPO).items() if path != ".gitattributes"}


def meant(plan):
    return {file.path: file.source.read_bytes() for file in plan.files}


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
    for place in range(0, len(n_requests(plan, users, token)) - 3, 2):  # the repository is there: three requests fewer
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
        real = genzoo.files.Path.write_bytes
        monkeypatch.setattr(
            genzoo.files.Path, "write_bytes", lambda self, *a, **k: full() if names[step] in self.name and "staging" in str(self) else real(self, *a, **k)
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
