"""How results are shown: tables, figures, one self-contained HTML report. Needs no torch; names are loaded on first use."""

from genzoo import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
