"""What a backward pass returns: gradients as a tuple, a list, a dict, a named tuple, a dataclass, nested or not."""

from dataclasses import fields, is_dataclass

import numpy as np

from .numeric import is_sparse
from .paths import spellings


def require(condition, message):
    """Raise a ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def gradients_by_name(result, arguments, grad_names, optional=False):
    """Return the result of a backward pass as a dict from the arguments to their gradients; see `check_layer`."""
    names = list(arguments)
    given, unnamed = split_result(result, names)
    grads = {}
    for name in names:
        for spelling in (*spellings(name), name, *spellings(name.split(".")[-1])):
            if given.get(spelling) is not None:
                grads[name] = given[spelling]
                break
    wanted = list(grad_names) if grad_names else [name for name in names if name not in grads]
    if result is None or (unnamed and all(part is None for part in unnamed) and not given):
        require(optional or not wanted, f"backward returned None for {', '.join(wanted)}: not implemented yet?")
        return grads
    if len(unnamed) == 1 < len(wanted) and {np.shape(arguments[name]) for name in wanted} == {np.shape(unnamed[0])[1:]}:
        unnamed = list(unnamed[0])  # the gradients of a list of inputs, stacked
    if unnamed and optional and len(unnamed) < len(wanted):
        wanted = wanted[: len(unnamed)]
    if unnamed:
        require(
            len(unnamed) == len(wanted),
            f"backward returned {len(unnamed)} gradients for {len(wanted)} arguments {wanted}, in this order "
            "(integer arrays have none); return one for each, or name them: grad_names=('x', 'W')",
        )
        grads.update((name, grad) for name, grad in zip(wanted, unnamed, strict=True) if name in names)
    missing = [name for name in names if grads.get(name) is None]
    grads = {name: grad for name, grad in grads.items() if grad is not None}
    nothing = f"None for {', '.join(missing)}: not implemented yet? If it needs none, skip={missing}" if unnamed else (
        f"no gradient of {missing}; it returned {list(given) or len(unnamed)}. Name each gradient d + the name of its "
        f"argument, or leave the argument out of the check: skip={missing}"
    )  # fmt: skip
    require(optional or not missing, f"backward returned {nothing}")
    return grads


def split_result(result, names):
    """Return the named gradients (dict) and the unnamed ones (list) of a result, which may be nested."""
    if hasattr(result, "_asdict"):
        result = result._asdict()
    elif is_dataclass(result) and not is_sparse(result):
        result = {field.name: getattr(result, field.name) for field in fields(result)}
    parts = list(result) if isinstance(result, tuple | list) else [result]
    named, unnamed = {}, []
    for part in parts:
        if isinstance(part, dict):
            named |= part
        elif isinstance(part, tuple | list):
            unnamed += leaves_of(part, names)
        elif result is not None:
            unnamed.append(part)
    return named, unnamed


def leaves_of(part, names):
    """Return the arrays of a nest of lists and dicts, those of a dict in the order of the arguments' names."""
    if isinstance(part, dict):
        last = [name.split(".")[-1] for name in names]

        def rank(key):
            fitting = (k for k, name in enumerate(last) if key == name or key in spellings(name))
            return next(fitting, len(last))

        part = [part[key] for key in sorted(part, key=rank)]
    if isinstance(part, tuple | list):
        return [leaf for child in part for leaf in leaves_of(child, names)]
    return [part]
