"""What the source of a submission says for itself: imports and names that a person should look at."""

import ast

from numpy_setlstm.grading.worker import FOREIGN, OPEN_TO_ALL

HARMLESS = ("numpy_setlstm.gradcheck", "numpy_setlstm.check_layer", "numpy_setlstm.check_gradients")
SUSPECT = frozenset(
    "__closure__ __import__ __builtins__ __subclasses__ _getframe addaudithook ctypes execv f_back fork fork_exec "
    "get_objects get_referrers globals import_module multiprocessing popen setprofile settrace spec_from_file_location "
    "subprocess system tb_frame".split()
)
CHECKS = frozenset("check_layer check_gradients allclose assert_allclose array_equal".split())


def findings(cells, allowed=()):
    """Remarks on the source, list of str; `cells` are (label, source), `allowed` as for :class:`Submission`."""
    found = []
    for label, source in cells:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # running it says so
        for node in ast.walk(tree):
            found += [f"{label}, line {getattr(node, 'lineno', '?')}: {what}" for what in findings_of(node, allowed)]
    return list(dict.fromkeys(found))


def findings_of(node, allowed):
    """What is remarkable about one node of the tree."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        names = []
    found = [f"imports {name}" for name in names if is_layer(name, allowed)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_layer(node.value.strip(), allowed):
        found.append(f"has the text {node.value.strip()[:60]!r}")
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
    if name in SUSPECT or set(names) & SUSPECT:
        found.append(f"uses {name or ', '.join(names)}")
    targets = node.targets if isinstance(node, ast.Assign) else ()
    found += [f"replaces {ast.unparse(t)}" for t in targets if replaces_another(t)]
    return found


def is_layer(name, allowed):
    """Whether a name leads into another library, or to a room of this package that is not open."""
    top = name.split(".")[0]
    rooms = (*OPEN_TO_ALL, *allowed)
    opened = [*HARMLESS, *(f"numpy_setlstm.{room}" for room in rooms)]
    if top == "numpy_setlstm" and name != top and "numpy_setlstm" not in allowed:
        return not any(f"{name}.".startswith(f"{room}.") for room in opened)
    return top in FOREIGN - set(allowed) and name.replace(".", "").isidentifier()


def replaces_another(target):
    """Whether an assignment puts something else in place of a function of a library, or of a check."""
    if isinstance(target, ast.Name):
        return target.id in CHECKS
    names = ("np", "numpy", "builtins", "numpy_setlstm", "visible", "testing")
    root = target
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(target, ast.Attribute) and isinstance(root, ast.Name) and root.id in names
