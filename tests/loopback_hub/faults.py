"""What can go wrong on the way: answers with an error status, and cut connections."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass
class Fault:
    """Answers requests that match with an error.

    Attributes:
        match: Regular expression on "METHOD /path".
        status: What is answered.
        times: How often.
        skip: How many matching requests pass first.
    """

    match: str
    status: int
    times: int = 1
    skip: int = 0

    def strikes(self, request):
        if self.times < 1 or not re.search(self.match, request):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Cut(Fault):
    """Closes the connection without an answer.

    Attributes:
        is_done: Whether the request was carried out first, so that only its answer is lost.
    """

    status: int = 0
    is_done: bool = False
