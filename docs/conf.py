"""Sphinx configuration; `make docs` builds with warnings as errors, so a dead link, anchor or reference fails."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402  (docs/ is no package)
from sphinx.application import Sphinx  # noqa: E402

import genzoo  # noqa: E402

project = "genzoo"
author = "the genzoo authors"
release = genzoo.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generated"]  # fragments that pages include
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A single backtick in a docstring marks code. Links in pages are written as {py:obj}`genzoo.load` and must resolve;
# types in signatures link where they can.
default_role = "code"
nitpicky = True
nitpick_ignore_regex = [("py:(class|exc)", ".*"), ("py:obj", "None")]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes in one compact list

html_theme = "furo"
html_title = f"genzoo {release}"
html_static_path = ["_static"]
html_css_files = ["genzoo.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Write the generated fragments before any page is read, and show classes without their long constructors."""
    app.connect("builder-inited", lambda app: generate.write(Path(app.srcdir) / "generated"))
    app.connect("autodoc-process-signature", lambda app, what, *_: ("", None) if what == "class" else None)
