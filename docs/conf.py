"""How the documentation site is built; the command is in CONTRIBUTING.md.

Pages are Markdown, the reference comes from the docstrings, notebooks are shown as they were run. The site loads
nothing from another host: MathJax is copied from an installed package.
"""

import importlib.util
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_extensions"))
sys.path.insert(0, str(DOCS.parent))  # this copy of the package, whichever else may be installed

import numpy_setlstm  # noqa: E402

project = "numpy_setlstm"
author = "The numpy_setlstm authors"
project_copyright = author
version = release = numpy_setlstm.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "notebook_pages",
    "references",
]
exclude_patterns = ["_build", "examples", "results"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"numpy\.ndarray|pathlib\.Path|collections\.abc\.Callable"),  # described on another host
]

# The text
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
numfig = True  # numbers equations through the whole site, so that a number names one equation
numfig_secnum_depth = 0

# Cells of pages are run when the site is built, and one that fails fails the build. The notebooks are committed as
# run, and a test runs them afresh.
nb_execution_mode = "force"
nb_execution_excludepatterns = ["notebooks/*"]
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_ipywidgets_js = {}  # would be fetched from another host

# The reference
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The look
html_theme = "furo"
html_title = "numpy_setlstm"
html_static_path = ["_static"]
html_extra_path = ["read.html"]  # a page of its own, written by draw_page.py
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sphinx = False
pygments_style = "tango"
pygments_dark_style = "monokai"

# Equations: one file holds MathJax with its glyphs, so nothing else has to be loaded
MATHJAX = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
html_static_path.append(str(MATHJAX / "tex-svg-full.js"))
mathjax_path = "tex-svg-full.js"
mathjax3_config = {
    "options": {
        "enableMenu": False,  # it would load further files
        "processHtmlClass": "tex2jax_process|mathjax_process|math|output_area",
    },
    "svg": {"fontCache": "global"},
}
