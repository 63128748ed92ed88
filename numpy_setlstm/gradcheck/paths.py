"""Where an object, or a nest of lists and dicts, holds its arrays of floats, and under which names gradients lie."""

import numpy as np

from .numeric import is_sparse

#: Names of what holds parameters, and of what holds their gradients in the same order or under the same keys.
PARAMETERS = ("params", "parameters", "p", "weights", "_params", "_parameters", "theta", "variables", "trainable")
GRADIENTS = (
    "grads", "gradients", "g", "gradient", "grad", "dparams", "d_params", "dparameters", "dweights", "d", "_grads",
    "_gradients", "derivatives", "weight_grads", "param_grads", "grads_params", "dtheta", "deltas",
)  # fmt: skip
DATA = ("data", "value", "val", "array", "values", "param")  # of a parameter that is an object
SHORT = {"weights": "W", "weight": "W", "kernel": "W", "w": "W", "W": "w", "bias": "b", "biases": "b", "b": "bias"}
DEPTH, MOST = 20, 20_000  # how deep and how many things are looked at


def is_floats(value):
    """Return whether a value is an array of floats, or a sparse matrix."""
    return is_sparse(value) or (isinstance(value, np.ndarray | np.floating) and value.dtype.kind == "f")


def children(thing):
    """Return (step, child) of everything that a thing holds; a step is ("item", key) or ("attribute", name)."""
    if isinstance(thing, dict):
        return [(("item", key), child) for key, child in thing.items()]
    if isinstance(thing, list | tuple) and len(thing) <= MOST:
        return [(("item", k), child) for k, child in enumerate(thing)]
    if not hasattr(thing, "__dict__") or callable(getattr(thing, "random", None)) or isinstance(thing, type):
        return []
    found = dict(vars(thing))
    for name in PARAMETERS + GRADIENTS:  # a property that returns them
        if isinstance(getattr(type(thing), name, None), property):
            try:
                found.setdefault(name, getattr(thing, name))
            except Exception:  # not ready before the first pass
                continue
    return [(("attribute", name), child) for name, child in found.items()]


def walk(thing, path=(), seen=None, above=()):
    """Return dict path -> array of floats of everything within a thing; aliases have a path each."""
    seen = [0] if seen is None else seen
    found = {}
    for step, child in children(thing):
        seen[0] += 1
        if is_floats(child):
            found[(*path, step)] = child
        elif len(path) < DEPTH and seen[0] < MOST and id(child) not in above:
            found |= walk(child, (*path, step), seen, (*above, id(thing)))
    return found


def name_of(path):
    """Return a path in words: W, params[0], layers[1].weight.data; a key of text counts as a name."""
    words = ""
    for kind, key in path:
        words += f"[{key}]" if kind == "item" and not isinstance(key, str) else f".{key}"
    return words.removeprefix(".")


def get(thing, path):
    """Return what lies at a path."""
    for kind, key in path:
        thing = thing[key] if kind == "item" else getattr(thing, key)
    return thing


def put(thing, path, value):
    """Replace what lies at a path; tuples are rebuilt, and what cannot be set is left (a property)."""
    parent, (kind, key) = get(thing, path[:-1]), path[-1]
    if kind == "attribute":
        try:
            setattr(parent, key, value)
        except AttributeError:
            return
    elif isinstance(parent, tuple):
        put(thing, path[:-1], (*parent[:key], value, *parent[key + 1 :]))
    else:
        parent[key] = value


def spellings(name):
    """Return the names that the gradient of `name` may have, likely ones first."""
    base = str(name)
    bare = base.lstrip("_")
    short = SHORT.get(bare, bare)
    forms = ("d{}", "d_{}", "grad_{}", "{}_grad", "{}.grad", "{}_gradient", "{}_gradients", "gradient_{}", "grad{}",
             "g{}", "{}grad", "delta_{}", "delta{}", "D{}", "{}_d", "dL_d{}", "dLd{}", "dL_{}", "dJ_d{}", "nabla_{}",
             "_d{}", "_grad_{}", "del_{}", "g_{}", "{}Grad", "d{}s", "{}_delta", "{}_g")  # fmt: skip
    return [form.format(word) for word in dict.fromkeys((bare, short)) for form in forms]


def gradient_paths(path):
    """Return the paths at which the gradient of the parameter at a path may lie, likely ones first."""
    parent, (kind, key) = path[:-1], path[-1]
    found = [(*parent, (kind, name)) for name in spellings(key)] if isinstance(key, str) else []
    if key in DATA:
        found += [(*parent, (kind, name)) for name in GRADIENTS]
    for depth, (outer, holder) in enumerate(path[:-1]):
        for name in GRADIENTS if holder in PARAMETERS or holder == "W" else spellings(holder):
            moved = (*path[:depth], (outer, name), *path[depth + 1 :])
            found.append(moved)
            if isinstance(key, str):
                found += [(*moved[:-1], (kind, spelled)) for spelled in spellings(key)]
    if isinstance(key, str):
        for name in GRADIENTS:
            found += [(*parent, ("attribute", name), ("item", spelled)) for spelled in (*spellings(key), key)]
            found += [(*parent, ("attribute", name), ("attribute", spelled)) for spelled in (*spellings(key), key)]
    elif key == 0 and parent and parent[-1][0] == "item":
        found.append((*parent, (kind, 1)))  # a list of pairs, each a parameter and its gradient
    return found


def find_gradient(paths, arrays, shape):
    """Return the path of a gradient of the parameter at any of `paths`, or None; its numbers must fit the shape."""
    for path in paths:
        for candidate in gradient_paths(path):
            if candidate in arrays and candidate not in paths and fits(arrays[candidate], shape):
                return candidate
    return None


def fits(array, shape):
    """Return whether an array has a shape, apart from axes of length 1."""
    found = np.shape(array)
    return [n for n in found if n != 1] == [n for n in shape if n != 1]


def aliases(arrays):
    """Return the groups of paths that lead to the same array, shortest path first: list of tuples."""
    groups = {}
    for path, array in arrays.items():
        groups.setdefault(id(array), []).append(path)
    return [tuple(sorted(group, key=lambda p: (len(p), name_of(p)))) for group in groups.values()]


def flatten(name, value):
    """Return dict name -> leaf of an argument: itself, or what the lists, tuples and dicts with arrays in it hold."""
    if isinstance(value, list | tuple | dict) and any(True for _ in walk(value)):
        leaves = {}
        for (_, key), child in children(value):
            leaves |= flatten(name + (f"[{key}]" if not isinstance(key, str) else f".{key}"), child)
        return leaves
    return {name: value}


def rebuild(name, value, leaves):
    """Return the argument with new leaves."""
    if name in leaves:
        return leaves[name]
    pairs = [(key, rebuild(name + (f"[{key}]" if not isinstance(key, str) else f".{key}"), child, leaves))
             for (_, key), child in children(value)]  # fmt: skip
    if isinstance(value, dict):
        return dict(pairs)
    made = [child for _, child in pairs]
    return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
