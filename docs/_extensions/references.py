"""References of docstrings and pages, brought to where the site has what they mean."""

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


def remove_old_pages(app):
    """Remove the generated pages of names that the reference no longer lists."""
    reference = Path(app.srcdir) / "api"
    listed = {name for page in reference.glob("*.md") for name in LISTED.findall(page.read_text(encoding="utf8"))}
    for page in (reference / "generated").glob("*.rst"):
        if page.stem not in listed:
            page.unlink()


def find_by_last_name(app, env, node, contnode):
    """Resolve a name that a docstring calls by the file that defines it, and the site by where it is public.

    ``numpy_setlstm.topology.set_step`` is documented as ``numpy_setlstm.set_step``. A name that stands for two things
    is left alone, and reported as missing.
    """
    if node.get("refdomain") != "py" or "reftarget" not in node:
        return None
    target = node["reftarget"].lstrip(".")
    if node["reftype"] == "mod":
        uri = listing_of(app, target, node["refdoc"])
        return uri and nodes.reference("", "", contnode, internal=True, refuri=uri)
    parts = target.split(".")
    names = env.domains["py"].objects
    for length in (2, 1):  # a method with its class first
        ending = "." + ".".join(parts[-length:])
        found = [name for name in names if name.endswith(ending) and not names[name].aliased]
        if len(parts) >= length and len(found) == 1:
            entry = names[found[0]]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, found[0])
    return None


def listing_of(app, module, docname):
    """Where the listing of a module stands, seen from a page; None if the site has none."""
    if getattr(app.env, "_viewcode_modules", {}).get(module):
        return app.builder.get_relative_uri(docname, "_modules/" + module.replace(".", "/"))
    return None


def lead_to_listings(app, doctree, docname):
    """Let a link to one of the package's files open its listing in the site, if there is one, instead of a download."""
    for node in list(doctree.findall(addnodes.download_reference)):
        path = re.search(r"(numpy_setlstm/.*)\.py$", node["reftarget"])
        module = path[1].removesuffix("/__init__").replace("/", ".") if path else None
        if uri := listing_of(app, module, docname):
            node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))


def lead_back_from_listings(app, pagename, templatename, context, doctree):
    """Let "[docs]" in a listing lead to the anchor that the page has; for names made public elsewhere it does not."""
    if pagename.startswith("_modules/"):
        context["body"] = LINK_BACK.sub(r"\g<page>#\g<name>\g<member>", context["body"])


def lead_to_notebooks(app, doctree):
    """Let a link to a notebook's file open its page; to MyST it is a download, or a page that is not there."""
    for node in list(doctree.findall(addnodes.download_reference)):
        if name := NOTEBOOK.search(node["reftarget"]):
            page = {"refdomain": "std", "reftype": "doc", "reftarget": f"/notebooks/{name[1]}", "refexplicit": True}
            node.replace_self(addnodes.pending_xref("", *node.children, refdoc=app.env.docname, **page))
    for node in doctree.findall(addnodes.pending_xref):
        if node.get("refdomain") == "doc" and (name := NOTEBOOK.search(node["reftarget"])):
            node["reftarget"] = f"notebooks/{name[1]}"


def show_folders_as_text(app, doctree):
    """Let a link to a folder, which a code host can open and a site cannot, be its text alone."""
    folder = Path(app.env.doc2path(app.env.docname)).parent
    for node in list(doctree.findall(addnodes.pending_xref)):
        if node.get("reftype") == "myst" and node["reftarget"] and (folder / node["reftarget"]).is_dir():
            node.replace_self(node.children)


def describe_constants(app, what, name, obj, options, lines):
    """Give a constant the comment that stands at its definition, in place of the docstring of its type."""
    if isinstance(obj, TYPES_OF_CONSTANTS):
        lines[:] = comment_at_definition(name.rpartition(".")[2], obj)


def comment_at_definition(name, obj):
    """The lines after ``#:`` in whichever file of the package defines a constant."""
    for module in [key for key in sys.modules if key.startswith("numpy_setlstm.")]:
        if getattr(sys.modules[module], name, None) is obj:
            analyzer = ModuleAnalyzer.for_module(module)
            analyzer.analyze()
            if ("", name) in analyzer.attr_docs:
                return analyzer.attr_docs["", name]
    return []


def skip_fields(app, what, name, obj, skip, options):
    """Leave out a NamedTuple's fields, which the class's docstring describes."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    """Connect each to its moment."""
    app.connect("builder-inited", remove_old_pages, priority=100)
    app.connect("missing-reference", find_by_last_name)
    app.connect("doctree-read", lead_to_notebooks, priority=100)  # before Sphinx collects what is to be downloaded
    app.connect("doctree-read", show_folders_as_text)
    app.connect("doctree-resolved", lead_to_listings)
    app.connect("html-page-context", lead_back_from_listings)
    app.connect("autodoc-process-docstring", describe_constants, priority=100)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
