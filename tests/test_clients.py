"""The page on other tools: `make test-clients` runs its snippets; here, that it measures what it says and that the page is whole."""

from __future__ import annotations

import clients
import numpy as np
import pytest

PAGE = clients.PAGE.read_text(encoding="utf-8")
CLIENTS = {client.name: client for client in clients.read_clients(PAGE)}


@pytest.mark.parametrize("name", CLIENTS)
def test_both_ways_of_a_client_are_code_and_differ(name):
    for code in CLIENTS[name].code:
        compile(code, name, "exec")
        compile(clients.without_documented_lines(code), name, "exec")
    assert any(clients.without_documented_lines(code) != code for code in CLIENTS[name].code)


def test_documented_lines_are_left_out_or_exchanged():
    code = "model = load(\n    'a',\n    prompt='b',  # needed\n)\nx = model.encode_query(q)  # not: model.encode(q)\n"
    assert clients.without_documented_lines(code) == "model = load(\n    'a',\n)\nx = model.encode(q)\n"


def test_the_table_has_a_row_for_each_client_in_the_version_of_its_section():
    rows = PAGE.partition(clients.HEAD)[2].partition("\n\n")[0].strip().splitlines()
    assert [row.split("|")[1].strip() for row in rows] == [
        f"{client.name} {client.needs[0].partition('==')[2]}" for client in CLIENTS.values()
    ]


@pytest.fixture
def own():
    """Questions that each find the passage of their own place, in an order without ties."""
    passages = np.random.default_rng(0).normal(size=(clients.N_PASSAGES, 64))
    questions = passages[: clients.N_QUESTIONS] + 0.1
    vectors = {"question_vectors": questions.tolist(), "passage_vectors": passages.tolist()}
    return {"vectors": vectors, "found": clients.rank(questions, passages)}


def test_the_same_vectors_of_any_length_are_right(own):
    vectors = own["vectors"] | {"question_vectors": (np.array(own["vectors"]["question_vectors"]) * 7).tolist()}
    figures = clients.compare({"vectors": vectors, "found": None}, own)
    assert figures["search"] == [8, 24, 8] and clients.faults(figures, own) == []


def test_another_vector_another_width_and_another_search_are_faults(own):
    turned = np.array(own["vectors"]["question_vectors"])
    turned[3] = np.roll(turned[3], 1)
    figures = clients.compare(
        {"vectors": own["vectors"] | {"question_vectors": turned.tolist()}, "found": own["found"]}, own
    )
    assert [fault.partition(":")[0] for fault in clients.faults(figures, own)] == ["questions"]
    cut = {"question_vectors": turned[:, :5].tolist()}
    assert clients.compare({"vectors": cut, "found": None}, own) == {"questions": "5 dimensions"}
    found = [list(reversed(row)) for row in own["found"]]
    figures = clients.compare({"vectors": own["vectors"], "found": found}, own)
    assert figures["search"][0] == 0 and [fault[:6] for fault in clients.faults(figures, own)] == ["search"]


def test_a_cosine_is_never_rounded_up_to_right():
    assert [clients.shown(value) for value in (0.99989, 0.9999, 1.0, 0.7784)] == ["0.999", "1.000", "1.000", "0.778"]


def test_rows_of_the_page_are_exchanged_by_client():
    old = PAGE.partition(clients.HEAD)[2].partition("\n\n")[0].strip().splitlines()
    row = f"| {clients.read_clients(PAGE)[0].name} 0.0 | | | | | | | |"
    rows = clients.write_table(PAGE, [row]).partition(clients.HEAD)[2].partition("\n\n")[0].strip().splitlines()
    assert rows == [row, *old[1:]]
