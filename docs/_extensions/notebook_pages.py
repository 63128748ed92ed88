"""The notebooks as pages of the site: copied into ``docs/notebooks`` when it is built.

Sphinx reads pages only from below its own folder. A symbolic link would not survive on every platform, so the files
are copied; git ignores the copies. On the way, links are made to lead where they led from ``notebooks/``, a picture
from another host becomes its text, and the cell that says what to do if the package is missing is left out.
"""

import json
import re
from pathlib import Path

REMOTE_PICTURE = re.compile(r"!\[([^\]]*)\]\(https?://[^)]*\)")
NOT_SHOWN = ("install",)  # ids of cells that are there for the one who runs a notebook
RELATIVE_LINK = re.compile(r"\]\(\.\./(docs/)?")


def here(text):
    """The Markdown of a cell, for a page in ``docs/notebooks``: links one folder further down, no remote picture."""
    text = REMOTE_PICTURE.sub(r"\1", text)
    return RELATIVE_LINK.sub(lambda link: "](../" if link[1] else "](../../", text)


def page_of(notebook):
    """The notebook, a dict as in its file, as the site shows it."""
    notebook["cells"] = [cell for cell in notebook["cells"] if cell.get("id") not in NOT_SHOWN]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = here("".join(cell["source"]))
    return notebook


def copy_notebooks(app):
    """Bring ``docs/notebooks`` up to date, without touching a page that has not changed."""
    pages = Path(app.srcdir) / "notebooks"
    notebooks = {path.name: path for path in (Path(app.srcdir).parent / "notebooks").glob("*.ipynb")}
    for page in pages.glob("*.ipynb"):
        if page.name not in notebooks:
            page.unlink()
    for name, path in notebooks.items():
        text = json.dumps(page_of(json.loads(path.read_text(encoding="utf8"))), ensure_ascii=False)
        page = pages / name
        if not page.exists() or page.read_text(encoding="utf8") != text:
            page.write_text(text, encoding="utf8")


def setup(app):
    """Copy before Sphinx looks which pages there are."""
    app.connect("builder-inited", copy_notebooks, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
