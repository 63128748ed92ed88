"""References in docstrings and pages, resolved to where the site has what they mean."""

import importlib
import operator
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import make_refnode

LISTED = re.compile(r"^ {3}(numpy_setlstm\.\S+)$", re.MULTILINE)
LINK_BACK = re.compile(
    r"(?P<page>[./]*/api/generated/(?P<name>[\w.]*\.(?P<last>\w+))\.html)#[\w.]*\.(?P=last)(?P<member>(\.\w+)?)(?![\w.])"
)
NOTEBOOK = re.compile(r"(?:^|/)notebooks/(\d\d_\w+)(?:\.ipynb)?$")
TYPES_OF_CONSTANTS = (str, int, float, tuple, dict)
ROOT = Path(__file__).parents[2]


def remove_old_pages(app):
    """Remove the generated pages of names that the reference no longer lists."""
    reference = Path(app.srcdir) / "api"
    listed = {name for page in reference.glob("*.md") for name in LISTED.findall(page.read_text(encoding="utf8"))}
    for page in (reference / "generated").glob("*.rst"):
        if page.stem not in listed:
            page.unlink()


def find_by_last_name(app, env, node, contnode):
    """Resolve a name that a docstring gives by its file to the page that the site has under another name.

    ``numpy_setlstm.topology.set_step`` is documented as ``numpy_setlstm.set_step``. A name that exists but has no page
    leads to the listing of its file; an ambiguous name is left alone, and reported as missing.
    """
    if node.get("refdomain") != "py" or "reftarget" not in node:
        return None
    target = node["reftarget"].lstrip(".")
    if node["reftype"] != "mod":
        parts = target.split(".")
        names = env.domains["py"].objects
        for length in (2, 1):  # a method with its class first
            ending = "." + ".".join(parts[-length:])
            found = [name for name in names if name.endswith(ending) and not names[name].aliased]
            if len(parts) >= length and len(found) == 1:
                entry = names[found[0]]
                return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, found[0])
    module = target if is_module(target) else module_of(target)
    uri = module and listing_of(app, module, node["refdoc"])
    if uri:
        return nodes.reference("", "", contnode, internal=True, refuri=uri)
    return contnode if module else None


def is_module(name):
    """Whether a name is that of a file or folder of the package."""
    path = ROOT / name.replace(".", "/")
    return name.startswith("numpy_setlstm") and (path.is_dir() or path.with_suffix(".py").is_file())


def module_of(name):
    """The module of the package that defines a function, class, method or constant; None if none does."""
    prefix, _, last = name.rpartition(".")
    path = name  # a method with its class, but a name without its module
    if is_module(prefix):
        importlib.import_module(prefix)
        path = last
    for key, module in list(sys.modules.items()):
        if key.startswith("numpy_setlstm."):
            try:
                return getattr(operator.attrgetter(path)(module), "__module__", key)
            except AttributeError:
                continue
    return None


def listing_of(app, module, docname):
    """The address of a module's listing, relative to a page; None if the site has none."""
    if getattr(app.env, "_viewcode_modules", {}).get(module):
        return app.builder.get_relative_uri(docname, "_modules/" + module.replace(".", "/"))
    return None


def lead_to_listings(app, doctree, docname):
    """Let a link to a file of the package open its listing in the site, if there is one, instead of downloading it."""
    for node in list(doctree.findall(addnodes.download_reference)):
        path = re.search(r"(numpy_setlstm/.*)\.py$", node["reftarget"])
        module = path[1].removesuffix("/__init__").replace("/", ".") if path else None
        if uri := listing_of(app, module, docname):
            node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))


def lead_back_from_listings(app, pagename, templatename, context, doctree):
    """Let "[docs]" in a listing lead to the anchor of the page, also for names that are public elsewhere."""
    if pagename.startswith("_modules/"):
        context["body"] = LINK_BACK.sub(r"\g<page>#\g<name>\g<member>", context["body"])


def lead_to_notebooks(app, doctree):
    """Let a link to a notebook's file open its page; MyST takes it for a download or a missing page."""
    for node in list(doctree.findall(addnodes.download_reference)):
        if name := NOTEBOOK.search(node["reftarget"]):
            page = {"refdomain": "std", "reftype": "doc", "reftarget": f"/notebooks/{name[1]}", "refexplicit": True}
            node.replace_self(addnodes.pending_xref("", *node.children, refdoc=app.env.docname, **page))
    for node in doctree.findall(addnodes.pending_xref):
        if node.get("refdomain") == "doc" and (name := NOTEBOOK.search(node["reftarget"])):
            node["reftarget"] = f"notebooks/{name[1]}"


def show_folders_as_text(app, doctree):
    """Reduce a link to a folder to its text: a code host can open folders, a site cannot."""
    folder = Path(app.env.doc2path(app.env.docname)).parent
    for node in list(doctree.findall(addnodes.pending_xref)):
        if node.get("reftype") == "myst" and node["reftarget"] and (folder / node["reftarget"]).is_dir():
            node.replace_self(node.children)


def describe_constants(app, what, name, obj, options, lines):
    """Give a constant the comment at its definition, instead of the docstring of its type."""
    if what == "data" and isinstance(obj, TYPES_OF_CONSTANTS):
        lines[:] = comment_at_definition(name.rpartition(".")[2], obj)


def comment_at_definition(name, obj):
    """The lines after ``#:`` in the file of the package that defines a constant."""
    for module in [key for key in sys.modules if key.startswith("numpy_setlstm.")]:
        if getattr(sys.modules[module], name, None) is obj:
            analyzer = ModuleAnalyzer.for_module(module)
            analyzer.analyze()
            if ("", name) in analyzer.attr_docs:
                return analyzer.attr_docs["", name]
    return []


def setup(app):
    """Connect each function to its event."""
    app.connect("builder-inited", remove_old_pages, priority=100)
    app.connect("missing-reference", find_by_last_name)
    app.connect("doctree-read", lead_to_notebooks, priority=100)  # before Sphinx collects downloads
    app.connect("doctree-read", show_folders_as_text)
    app.connect("doctree-resolved", lead_to_listings)
    app.connect("html-page-context", lead_back_from_listings)
    app.connect("autodoc-process-docstring", describe_constants, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
