"""The names that are public: those that the packages list, and those that modules list or define."""

import importlib
import inspect
import re
from pathlib import Path

REFERENCE = Path(__file__).parent.parent / "docs" / "api"
PACKAGES = ("", "gradcheck", "datasets", "measures", "plotting", "grading", "lab.experiment")
MODULES = (
    "sparse",
    "topology",
    "text",
    "word_vectors",
    "converters",
    "estimator",
    "recipe",
    "scikit_learn",
    "layers.lstm",
    "layers.trace",
    "layers.embedding",
    "layers.readout",
    "layers.dropout",
    "network",
    "units",
    "initialization",
    "optimizers",
    "training",
    "evolution",
    "checkpoint",
    "export",
    "grading.visible",
    "lab.rivals",
)


def is_described(thing):
    """Whether a thing has its own docstring: a function or a class, not a constant."""
    return inspect.isfunction(thing) or inspect.isclass(thing)


def public_names():
    """The full name under which each function, class and constant is public first: a dict of names and things."""
    names, seen = {}, set()
    for room in (*PACKAGES, *MODULES):
        module = importlib.import_module(f"numpy_setlstm.{room}".rstrip("."))
        for name in getattr(module, "__all__", None) or functions_and_classes_of(module):
            thing = getattr(module, name)
            if (name, id(thing)) not in seen:
                names[f"{module.__name__}.{name}"] = thing
                seen.add((name, id(thing)))
    return names


def functions_and_classes_of(module):
    """The names without underscore that a module without ``__all__`` defines itself."""
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and is_described(thing) and thing.__module__ == module.__name__
    ]


def with_methods(names):
    """The names, and those of the public methods and properties that a class has of this package."""
    full = []
    for name, thing in names.items():
        if is_described(thing):
            full.append(name)
        if inspect.isclass(thing):
            members = {}
            for kind in reversed([kind for kind in thing.__mro__ if kind.__module__.startswith("numpy_setlstm.")]):
                members |= vars(kind)
            full += [f"{name}.{member}" for member, value in members.items() if is_public_member(member, value)]
    return full


def is_public_member(name, value):
    """Whether an entry of a class is a method or property to be called from outside."""
    is_code = inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)
    return is_code and not name.startswith("_")


def names_in_reference():
    """The names that the pages of the reference list, in their order, with repetitions."""
    pages = sorted(REFERENCE.glob("*.md"))
    return [n for page in pages for n in re.findall(r"^ {3}(numpy_setlstm\.\S+)$", page.read_text("utf8"), re.M)]
