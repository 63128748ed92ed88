"""The documentation site: it builds without a warning, every link leads somewhere, and nothing comes from elsewhere."""

import importlib.util
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from public_names import names_in_reference, public_names

ROOT = Path(__file__).parent.parent
LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}


class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if attributes.get(LOADED.get(tag)):
            self.loaded.append(attributes[LOADED[tag]])


@pytest.fixture(scope="module")
def pages(site):
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def test_every_internal_link_and_anchor_leads_somewhere(site, pages):
    broken = []
    for path, page in pages.items():
        for link in {*page.links, *page.loaded}:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: no file {link}")
            elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].anchors:
                broken.append(f"{path.relative_to(site)}: no anchor {link}")
    assert not broken, "\n".join(broken)


def test_no_page_loads_from_another_host(site, pages):
    for path, page in pages.items():
        for link in page.loaded:
            url = urlsplit(link)
            assert not url.netloc and url.scheme in ("", "data"), f"{path.relative_to(site)} loads {link[:100]}"


def test_no_style_loads_from_another_host(site):
    for path in [*site.rglob("*.css"), *site.rglob("*.html")]:
        remote = re.findall(
            r"url\(\s*[\"']?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;", path.read_text(encoding="utf8")
        )
        assert not remote, f"{path.relative_to(site)}: {remote}"


def test_every_public_name_has_a_page_and_every_notebook_is_shown(site):
    for name in names_in_reference():
        assert (site / "api" / "generated" / f"{name}.html").is_file(), name
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert (site / "notebooks" / f"{notebook.stem}.html").is_file(), notebook.name


def test_the_reference_lists_every_public_name_once():
    listed = Counter(names_in_reference())
    assert not {name: count for name, count in listed.items() if count > 1}
    missing = set(public_names()) - set(listed)
    assert not missing, f"list them on a page of docs/api: {sorted(missing)}"


def test_the_start_page_names_every_notebook():
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf8")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"](../notebooks/{notebook.name})" in page, f"docs/index.md says for nobody what {notebook.name} is for"


def test_links_of_a_notebook_lead_where_they_did_and_the_first_code_is_left_out():
    path = ROOT / "docs" / "_extensions" / "notebook_pages.py"
    spec = importlib.util.spec_from_file_location("notebook_pages", path)
    notebook_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook_pages)
    text = "[![Open](https://host/a.svg)](https://host/n) [b](../docs/b.md) [c](../c.cfg) [d](d.ipynb) ![e](e.png)"
    shown = "[Open](https://host/n) [b](../b.md) [c](../../c.cfg) [d](d.ipynb) ![e](e.png)"
    assert notebook_pages.here(text) == shown
    cells = [
        {"cell_type": "code", "source": "import numpy_setlstm", "id": "install"},
        {"cell_type": "code", "source": "1", "id": "a"},
    ]
    assert notebook_pages.page_of({"cells": cells})["cells"] == cells[1:]
