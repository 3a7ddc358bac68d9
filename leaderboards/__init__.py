"""What the results say: a tidy frame, aggregates, tests of significance and the leaderboard. Needs no torch; names are loaded on first use."""

from genzoo import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
