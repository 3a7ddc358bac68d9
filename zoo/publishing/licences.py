"""What a frozen LLM's licence asks of every model that is made from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from genzoo.backbones.untrusted import check_link
from genzoo.errors import CheckpointError

_LONGEST = 1 << 20
_LLAMA = {"llama2": "2", "llama3": "3", "llama3.1": "3.1", "llama3.2": "3.2", "llama3.3": "3.3"}  # and its version
KNOWN = frozenset(
    ["apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "gemma", "other", *_LLAMA]
)
"""Identifiers that the Hub knows and that a backbone of this zoo may have."""


@dataclass(frozen=True)
class Licence:
    """What must come along with a model under one licence.

    Attributes:
        identifier: As the Hub spells it.
        name_prefix: How the repository's name must begin, empty for any.
        built_with: What the model card must say.
        notice: Text of the NOTICE file, empty for none.
        needs_text: Whether the licence's own text must be passed on; it is taken from the backbone's folder.
        link: Where the terms are.
    """

    identifier: str
    name_prefix: str = ""
    built_with: str = ""
    notice: str = ""
    needs_text: bool = False
    link: str = ""


_GEMMA = Licence(
    "gemma",
    notice="Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms\n\n"
    "Modified: rows of the embedding matrix were replaced by trained tokens, and two projections were added.\n",
    link="https://ai.google.dev/gemma/terms",
)


def licence_of(identifier: str) -> Licence:
    """The row of a licence; one without demands of its own has only its identifier."""
    if identifier in _LLAMA:
        name = f"Llama {_LLAMA[identifier]}"
        notice = f"{name} is licensed under the {name} Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.\n"
        link = f"https://www.llama.com/{identifier.replace('.', '_')}/license/"
        return Licence(identifier, "Llama", "Built with Llama", notice, needs_text=True, link=link)
    return _GEMMA if identifier == "gemma" else Licence(identifier)


def lint_licence(identifier: str, inherited: str, repo_id: str, texts: list[Path]) -> list[str]:
    """Everything about the licence that must be solved before publishing, one sentence each.

    Args:
        identifier: Licence that the model card will carry.
        inherited: The frozen LLM's own.
        repo_id: ``org/name``.
        texts: Licence files found beside the backbone.
    """
    problems = []
    if not identifier:
        return ["the backbone's licence is not known: name it with --licence, as its own model card does"]
    if identifier not in KNOWN:
        problems.append(f"licence {identifier!r} is not known to the Hub: use one of {', '.join(sorted(KNOWN))}")
    if inherited and identifier != inherited:
        problems.append(f"licence {identifier!r} is not the backbone's ({inherited}): a derived model inherits it")
    if identifier == "other":
        problems.append("licence 'other' needs a name and a link, which only you know: publish the model by hand")
    rule, name = licence_of(identifier), repo_id.rpartition("/")[2]
    if rule.name_prefix and not name.startswith(rule.name_prefix):
        problems.append(f"the name {name!r} must begin with {rule.name_prefix!r}, as {identifier} demands")
    if rule.needs_text and not texts:
        problems.append(f"the text of {identifier} must be included: the backbone's folder holds no LICENSE file")
    return problems


def licence_files(folder: Path) -> list[Path]:
    """Licence texts beside a backbone; a link out of its folder could carry any file of this machine along and is refused."""
    pattern = re.compile(r"(LICENSE|LICENCE|USE_POLICY)(\.(md|txt))?", re.IGNORECASE)
    found = sorted(path for path in Path(folder).iterdir() if path.is_file() and pattern.fullmatch(path.name))
    for path in found:
        check_link(path, Path(folder))
        if path.stat().st_size > _LONGEST:
            raise CheckpointError(
                f"{path} is {path.stat().st_size:,} bytes long, too long for a licence text: remove it"
            )
    return found
