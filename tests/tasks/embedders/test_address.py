"""Addresses of endpoints, the names of their results, and where keys come from."""

import pytest

from genzoo.errors import InputError
from genzoo.tasks.embedders.address import Address, is_address


@pytest.mark.parametrize(
    ("text", "url", "model", "name"),
    [
        ("http://127.0.0.1:8000/v1#m", "http://127.0.0.1:8000/v1", "m", "localhost-8000/m"),
        ("http://localhost:11434/v1/#nomic-embed-text:v1.5", "http://localhost:11434/v1", "nomic-embed-text:v1.5", "localhost-11434/nomic-embed-text-v1.5"),
        ("http://[::1]:80/v1/embeddings#a/b", "http://[::1]:80/v1", "a/b", "localhost/a-b"),
        ("https://api.openai.com/v1#text-embedding-3-small", "https://api.openai.com/v1", "text-embedding-3-small", "api.openai.com/text-embedding-3-small"),
        ("HTTPS://Example.com:8443#m", "https://Example.com:8443", "m", "example.com-8443/m"),
    ],
)  # fmt: skip
def test_an_address_is_read(text, url, model, name):
    found = Address.parse(text)
    assert (found.url, found.model, found.name) == (url, model, name)
    assert Address.parse(found.text) == found and is_address(text)


def test_azure_keeps_the_version_of_its_interface():
    found = Address.parse("https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21#d")
    assert found.query == "api-version=2024-10-21" and found.is_azure
    assert Address.parse(found.text) == found
    assert "AZURE_OPENAI_API_KEY" in found.key_variables


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://127.0.0.1:8000/v1", "does not name a model"),
        ("http://#m", "is not the address"),
        ("https://host:notaport/v1#m", "not the address"),
        ("http://192.168.0.7:8000/v1#m", "unencrypted: use https, or a tunnel"),
        ("http://127.0.0.1.evil.example/v1#m", "unencrypted"),
        ("https://user:hunter22hunter@host/v1#m", "GENZOO_API_KEY"),
        ("https://host/v1?api_key=hunter22hunter#m", "GENZOO_API_KEY"),
    ],
)
def test_what_is_no_address_is_refused_and_no_secret_is_repeated(text, said):
    with pytest.raises(InputError, match=said) as stop:
        Address.parse(text)
    assert "hunter22" not in str(stop.value)


def test_a_vendors_key_is_for_that_vendor_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "of-openai")
    assert Address.parse("https://api.openai.com/v1#m").key() == ("of-openai", "OPENAI_API_KEY")
    assert Address.parse("https://api.openai.com.example/v1#m").key() == ("", "")
    assert Address.parse("http://127.0.0.1:1/v1#m").key() == ("", "")


def test_the_key_of_a_host_comes_before_the_general_one(monkeypatch):
    monkeypatch.setenv("GENZOO_API_KEY", "general")
    monkeypatch.setenv("GENZOO_API_KEY_API_EXAMPLE_COM", " special\n")
    assert Address.parse("https://api.example.com/v1#m").key() == ("special", "GENZOO_API_KEY_API_EXAMPLE_COM")
    assert Address.parse("https://other.example.com/v1#m").key() == ("general", "GENZOO_API_KEY")


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key, monkeypatch):
    monkeypatch.setenv("GENZOO_API_KEY", key)
    with pytest.raises(InputError, match="GENZOO_API_KEY is not a key") as stop:
        Address.parse("http://127.0.0.1:1/v1#m").key()
    assert key not in str(stop.value)
