"""Layers that are objects: their parameters are found without being named, and so are the gradients."""

import copy

import numpy as np

from .adapters import RATES
from .lifted import is_active, lift_floats
from .passes import Passes
from .paths import aliases, find_gradient, fits, get, is_floats, name_of, put, spellings, walk
from .returned import gradients_by_name, require, split_result

MOST = 300  # arrays that are tried for an effect on the output


def copy_of(layer):
    """Return a deep copy; raise a TypeError if there is none."""
    try:
        return copy.deepcopy(layer)
    except Exception as error:
        raise TypeError(
            f"the {type(layer).__name__} cannot be copied ({error}); give two functions, forward(x, ...) -> (out, "
            "cache) and backward(dout, cache), that make it anew in each call"
        ) from error


class ObjectLayer:
    """An object with a forward and a backward method that stores its parameters and their gradients.

    Every forward pass runs on a copy. `params` names the parameters; without it they are found: arrays of floats that
    change the output and for which backward leaves a gradient. `unchecked` are those for which it leaves none.
    """

    repeatable = False  # such a layer may accumulate gradients until they are reset

    def __init__(self, layer, inputs, params, methods=(None, None), get_params=None, get_grads=None):
        self.layer, self.get_grads, self.passes = layer, get_grads, Passes(layer, inputs, *methods)
        self.ignores_upstream = not self.passes.upstream and self.passes.known
        self.base = self.warmed_up()
        held = walk(self.base)
        groups = aliases(held)
        if get_params:
            self.paths = self.given_arrays(get_params(self.base), groups)
        else:
            self.paths = {name: self.paths_of_name(name, held, groups) for name in params}
        values = params if hasattr(params, "items") else {}
        self.arguments = dict(self.passes.inputs)
        self.arguments |= {name: values.get(name, get(self.base, group[0])) for name, group in self.paths.items()}
        self.unchecked, self.stale, self.named = (), [], bool(self.paths)
        self.discover(held, groups, self.named)
        self.param_names = list(self.paths)

    def warmed_up(self):
        """Return a copy of the layer, with the weights that its first forward pass makes if it has none before."""
        base, once = copy_of(self.layer), copy_of(self.layer)
        self.passes.run_forward(once, self.passes.inputs)
        if walk(once).keys() <= walk(base).keys():
            return base
        twice = copy_of(once)
        self.passes.run_forward(twice, self.passes.inputs)
        return merged(base, copy_of(once), twice)

    def given_arrays(self, arrays, groups):
        """Return the paths of the arrays that `get_params` returned, by name."""
        arrays, found = arrays if hasattr(arrays, "items") else dict(enumerate(arrays)), {}
        for key, array in arrays.items():
            group = next((g for g in groups if get(self.base, g[0]) is array), None)
            require(
                group is not None,
                f"get_params returned an array ({key!r}) that the {type(self.layer).__name__} does not hold; it must "
                "return the arrays themselves, no copies",
            )
            found[key if isinstance(key, str) else name_of(group[0])] = group
        return found

    def paths_of_name(self, name, held, groups):
        """Return the paths of the parameter that a user named: W, params[0], layers[1].weight.data."""
        named = (path for path in held if name in (name_of(path), path[-1][1]) or name_of(path).endswith("." + name))
        path = min(named, key=lambda path: name_of(path) != name, default=None)
        what = f"the {type(self.layer).__name__} has no parameter {name!r}"
        require(path is not None, f"{what}; it has {', '.join(map(name_of, held))[:200] or 'no arrays of floats'}")
        return next(group for group in groups if path in group)

    def discover(self, held, groups, named):
        """Enter the parameters that are found, or, if some are `named`, only note which others change the output."""
        outs, (layer, more) = self.forward(self.arguments)
        ones = [np.ones(np.shape(out)) for out in outs[: self.n_upstream(len(outs))]]
        before = {group: get(layer, group[0]).copy() for group in groups if is_floats(get(layer, group[0]))}
        objects = {group: get(layer, group[0]) for group in before}
        result, log = self.passes.run_backward(layer, more, ones)
        arrays = walk(layer)
        stored = {g: find_gradient(g, arrays, np.shape(before[g])) for g in before}
        gradients = {path for path in stored.values() if path}
        self.stale = [path for path in gradients if path in held]
        known = {path for group in self.paths.values() for path in group} | gradients
        groups = [g for g in before if not known & set(g)][:MOST]
        effect = {group: self.effect_of(group, outs) for group in groups}
        logged = [g for g in groups if any(param is objects[g] for param, _ in log)]
        sure = [g for g in groups if stored[g] or g in logged or self.step_of(layer, g, before[g]) is not None]
        returned = self.returned_for([g for g in groups if g not in sure and effect[g] == "changes"], before, result)
        for group in groups:
            learned = effect[group] == "changes" or (effect[group] == "none" and group[0] in walk(self.layer))
            if (group in sure or group in returned) and learned and not named:
                name = name_of(group[0])
                name = f"self.{name}" if name in self.arguments else name
                self.paths[name], self.arguments[name] = group, get(self.base, group[0])
            elif effect[group] == "changes":
                self.unchecked += (name_of(group[0]),)

    def returned_for(self, groups, before, result):
        """Return those groups whose gradients backward returned, by name or behind those of the inputs."""
        inputs = [name for name, value in self.passes.inputs.items() if is_floats(value)]
        named, unnamed = split_result(result, [name_of(group[0]) for group in groups])
        by_name = [g for g in groups if set(named) & {*spellings(g[0][-1][1]), g[0][-1][1]}]
        rest = [g for g in groups if g not in by_name]
        return by_name + (rest if len(unnamed) == len(inputs) + len(rest) else [])

    def effect_of(self, group, outs):
        """Return what the forward pass does with an array: its output "changes" with it, "overwritten", or "none"."""
        value = np.asarray(get(self.base, group[0]), np.float64)
        moved = value * 1.01 + 0.01 * np.random.default_rng(0).standard_normal(value.shape)
        layer = self.fresh()
        self.put(layer, group, moved)
        try:
            again = self.passes.run_forward(layer, self.passes.inputs)
            changed = any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(outs, again, strict=False))
            return "changes" if changed else "none" if get(layer, group[0]) is moved else "overwritten"
        except Exception:  # it cannot do without that array as it is
            return "overwritten"

    def fresh(self):
        """Return a copy of the layer with no old gradients."""
        layer = copy_of(self.base)
        for path in self.stale:
            put(layer, path, np.zeros_like(get(layer, path)))
        return layer

    @staticmethod
    def put(layer, group, value):
        """Put a parameter at all of its paths."""
        for path in group:
            put(layer, path, value)

    def n_upstream(self, n_outs):
        """Return of how many outputs backward takes the gradient."""
        return min(n_outs, len(self.passes.upstream) or n_outs)

    def forward(self, arguments):
        """Run `forward` on a copy of the object with the given parameters; the copy is part of the cache."""
        layer = self.fresh()
        if is_active():
            for group in aliases(walk(layer)):
                self.put(layer, group, lift_floats(get(layer, group[0])))
        for name, group in self.paths.items():
            value = arguments[name]
            self.put(layer, group, value.copy() if isinstance(value, np.ndarray) else value)
        outs = self.passes.run_forward(layer, {name: arguments[name] for name in self.passes.inputs})
        more = [outs.pop()] if self.passes.takes_cache and len(outs) > 1 else []
        return outs, (layer, more)

    def backward(self, douts, cache, arguments, grad_names):
        """Run the backward method; return all gradients by name: stored, handed to an optimizer, or returned."""
        layer, more = cache
        held = {name: get(layer, group[0]) for name, group in self.paths.items()}
        before = {name: np.array(value) if is_floats(value) else value for name, value in held.items()}
        result, log = self.passes.run_backward(layer, more, douts)
        arrays, stored = walk(layer), {}
        for name in arguments:
            group = self.paths.get(name, ((("attribute", name),),))
            path = find_gradient(group, arrays, np.shape(arguments[name]))
            logged = [grad for param, grad in log if param is held.get(name, log)]
            if path and (name in self.paths or result is None):
                stored[name] = arrays[path]
            elif logged:
                stored[name] = sum(logged)
            elif name in self.paths and self.step_of(layer, group, before[name]) is not None:
                stored[name] = self.step_of(layer, group, before[name])
        if self.get_grads:
            stored |= self.given_gradients(layer)
        returned = zip(split_result(result, list(arguments))[1], arguments.values(), strict=False)
        if [fits(grad, np.shape(value)) for grad, value in returned] == [True] * len(arguments):
            stored = {}  # all were returned; arrays in the object may be left from another time
        rest = {name: value for name, value in arguments.items() if name not in stored}
        lacking = {name for name in rest if name in self.paths}
        grads = gradients_by_name(result, rest, grad_names, optional=not lacking) if rest else {}
        missing = [name for name in rest if name not in grads]
        require(
            not missing or any(name in grads or name in stored for name in self.passes.inputs),
            f"backward returned None for {', '.join(missing)}: not implemented yet? If it needs none, skip={missing}",
        )
        return {**stored, **grads}

    def given_gradients(self, layer):
        """Return what `get_grads` returns, by the names of the parameters."""
        grads = self.get_grads(layer)
        if hasattr(grads, "items"):
            return {n: g for n in self.paths for k, g in grads.items() if k in (n, *spellings(n.split(".")[-1]))}
        require(
            len(grads) == len(self.paths),
            f"get_grads returned {len(grads)} gradients for {len(self.paths)} parameters, {list(self.paths)}",
        )
        return dict(zip(self.paths, grads, strict=True))

    def step_of(self, layer, group, before):
        """Return the gradient with which backward changed a parameter by gradient descent, or None."""
        rates = [
            getattr(layer, name) for name in RATES if np.ndim(getattr(layer, name, ())) == 0 and hasattr(layer, name)
        ]
        rate = 1.0 if self.passes.takes_rate else next((rate for rate in rates if rate), None)
        after = get(layer, group[0])
        changed = rate and is_floats(after) and fits(after, np.shape(before)) and not np.array_equal(before, after)
        return (before - after) / rate if changed else None


def merged(before, once, twice):
    """Return what one forward pass made of a thing, with what grows or goes on changing as it was before."""
    if same(once, twice):
        return once
    if isinstance(once, dict) and isinstance(before, dict):
        for key in once:
            once[key] = merged(before.get(key), once[key], twice[key])
        return once
    if isinstance(once, list) and isinstance(before, list) and len(before) == len(once) == len(twice):
        once[:] = map(merged, before, once, twice)
        return once
    if hasattr(once, "__dict__") and type(before) is type(once):
        merged(vars(before), vars(once), vars(twice))
        return once
    if before is None and isinstance(once, list) and len(once) != len(twice):
        return []
    return once if before is None else before


def same(one, two):
    """Return whether two things hold the same arrays."""
    a, b = walk(one), walk(two)
    if isinstance(one, np.ndarray):
        return isinstance(two, np.ndarray) and np.array_equal(one, two)
    sizes = [len(thing) if isinstance(thing, list | dict) else 0 for thing in (one, two)]
    return sizes[0] == sizes[1] and a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
