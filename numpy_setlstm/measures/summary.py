"""The topology of one run as a small JSON document, each number compared with chance."""

from collections.abc import Mapping

import numpy as np

from numpy_setlstm.checks import as_list, checked, instance, short, whole
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.adjacency import as_topology
from numpy_setlstm.measures.degrees import degree_dispersion, expected_dispersion, random_dispersions
from numpy_setlstm.measures.evolution import (
    WORD_BAND_NAMES,
    ever_tried,
    expected_ever_tried,
    gates_of,
    matched_null,
    replay,
    surviving_fraction,
    turnover,
    word_bands,
)
from numpy_setlstm.measures.expansion import expansion, gate_of, random_graph, rewired
from numpy_setlstm.topology import reserved_rows_of

PERCENTILES = (2.5, 97.5)  # limits of a range


def _steps_by_name(name, steps, sizes):
    steps = as_list(name, steps, "dicts")
    if not all(isinstance(step, Mapping) for step in steps):
        raise TypeError(f"{name} are {short(steps)}; expected a list of dicts, with the SetStep of each matrix")
    return steps


@checked(initial=instance(Mapping, "a dict of matrices"), steps=_steps_by_name, seed=whole(), n_nulls=whole(1))
def describe(initial, steps, *, seed=0, n_nulls=20):
    """Summarize the connections of one network and their evolution, each number compared with chance.

    Parameters
    ----------
    initial : dict of str to Topology or SparseMatrix
        "E" (V, D), "W_x" (D, 4H) and "W_h" (H, 4H), or some of them, before the first step, such as a training state's
        ``initial_topologies``. Dense matrices are ignored.
    steps : sequence of dict of str to SetStep
        A history's ``set_steps``; empty for a network that did not evolve.
    seed : int, default 0
        Seeds the null models and the random graphs.
    n_nulls : int, default 20
        Null models (:func:`matched_null`) per matrix, and random graphs per spectrum: a quarter of it for E, and at
        least 2. The degrees are compared with ten times as many random graphs.

    Returns
    -------
    dict of str to dict
        By matrix, ready for JSON. Lists have a number per step; `survival` and `ever_tried` also one for the start. A
        range is ``{"mean", "low", "high"}``: the mean and the limits of the middle 95 %. ``null`` is the range of the
        null models, or None without steps.

        ``shape``, ``connections``
            Of the matrix.
        ``degrees``
            For "rows" and "columns", the dispersion ``before`` and ``after``, the one ``expected`` of a random graph,
            the range of ``random`` graphs, and ``null``.
        ``turnover``
            By gate, or by band of word frequency: the fraction ``pruned`` in each step, and ``null``.
        ``survival``
            Fraction of the initial connections never pruned: ``observed``, ``null``.
        ``ever_tried``
            Share of the possible connections that have ever existed: ``observed``, ``expected``.
        ``expansion``
            For "all" and, except for E, each gate: ``sigma_1``, ``sigma_2`` and ``bound`` as ``[before, after]``, and
            the ranges of sigma_2 of ``random`` graphs and of graphs with the ``same_degrees``.

    Raises
    ------
    ValueError
        If a step lacks a matrix.

    Notes
    -----
    The range of n null models is too narrow for small n: about :math:`(2 + 0.05 (n - 1)) / (n + 1)` of the numbers of
    further null models lie outside, one in seven for n = 20 and 6 % for n = 200. To count numbers outside the range,
    use 200, and compare with that count for further null models.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> from numpy_setlstm.measures import null_evolution
    >>> W = erdos_renyi((16, 64), np.random.default_rng(0), density=0.1)
    >>> steps = null_evolution(W, 3, 0.3, np.random.default_rng(1))
    >>> described = describe({"W_h": W}, [{"W_h": step} for step in steps])["W_h"]
    >>> described["ever_tried"]
    {'observed': [0.0996, 0.1289, 0.1562, 0.1816], 'expected': [0.0996, 0.128, 0.1555, 0.1812]}
    >>> list(described["turnover"]), described["turnover"]["g"]["pruned"]
    (['i', 'f', 'o', 'g'], [0.3333, 0.2857, 0.32])
    """
    described = {}
    for name, matrix in initial.items():
        if isinstance(matrix, np.ndarray):
            continue
        rng = np.random.default_rng([seed, *name.encode()])  # independent of the order of the matrices
        if any(name not in step for step in steps):
            raise ValueError(f"a step has {list(map(list, steps))[-1]}; expected the SetStep of {name} in each")
        described[name] = _describe_matrix(
            name, as_topology(matrix, name), [step[name] for step in steps], rng, n_nulls
        )
    return described


def _describe_matrix(name, before, steps, rng, n_nulls):
    reserved = {"reserved_rows": reserved_rows_of(name)}
    after = replay(before, steps)[-1]
    groups = (word_bands, WORD_BAND_NAMES) if name == "E" else (gates_of(before.shape), GATES)
    nulls = [_measure_null(before, steps, groups, rng, reserved) for _ in range(n_nulls if steps else 0)]
    pruned, _ = turnover(before, steps, groups[0], len(groups[1]))
    return {
        "shape": list(before.shape),
        "connections": len(before.rows),
        "degrees": {
            side: _describe_degrees(before, after, axis, [null[side] for null in nulls], rng, n_nulls, reserved)
            for axis, side in ((1, "rows"), (0, "columns"))
        },
        "turnover": {
            group: {"pruned": _to_json(pruned[:, k]), "null": _range([null["turnover"][:, k] for null in nulls])}
            for k, group in enumerate(groups[1])
        },
        "survival": {
            "observed": _to_json(surviving_fraction(before, steps)),
            "null": _range([null["survival"] for null in nulls]),
        },
        "ever_tried": {
            "observed": _to_json(ever_tried(before, steps, **reserved)),
            "expected": _to_json(expected_ever_tried(before, steps, **reserved)),
        },
        "expansion": _describe_expansion(name, before, after, rng, n_nulls, reserved),
    }


def _measure_null(before, steps, groups, rng, reserved):
    """The same measures of one null model."""
    null_steps = matched_null(before, steps, rng, **reserved)
    after = replay(before, null_steps)[-1]
    return {
        "rows": degree_dispersion(after, 1, **reserved),
        "columns": degree_dispersion(after, 0, **reserved),
        "turnover": turnover(before, null_steps, groups[0], len(groups[1]))[0],
        "survival": surviving_fraction(before, null_steps),
    }


def _describe_degrees(before, after, axis, null, rng, n_nulls, reserved):
    shape, nnz = before.shape, len(before.rows)
    return {
        "before": _to_json(degree_dispersion(before, axis, **reserved)),
        "after": _to_json(degree_dispersion(after, axis, **reserved)),
        "expected": _to_json(expected_dispersion(shape, nnz, axis, **reserved)),
        "random": _range(random_dispersions(shape, nnz, axis, rng, n_draws=10 * n_nulls, **reserved)),
        "null": _range(null),
    }


def _describe_expansion(name, before, after, rng, n_nulls, reserved):
    """Spectra of the whole matrix and of its gates; for the large E, which costs most, of a quarter as many graphs."""
    parts = {"all": (before, after)}
    if name != "E":
        parts |= {gate: (gate_of(before, k), gate_of(after, k)) for k, gate in enumerate(GATES)}
    result = {}
    for part, (first, last) in parts.items():
        found = [expansion(topology, **reserved) for topology in (first, last)]
        n = max(2, n_nulls // 4 if name == "E" else n_nulls)
        random = [expansion(random_graph(last, rng, **reserved), **reserved).sigma_2 for _ in range(n)]
        same_degrees = [expansion(rewired(last, rng), **reserved).sigma_2 for _ in range(n)]
        result[part] = {
            key: [_to_json(getattr(each, key)) for each in found] for key in ("sigma_1", "sigma_2", "bound")
        }
        result[part] |= {"random": _range(random), "same_degrees": _range(same_degrees)}
    return result


def _range(values):
    """Mean and limits of numbers or curves (n, ...), ready for JSON; None if there are none."""
    if not len(values):
        return None
    low, high = np.percentile(values, PERCENTILES, axis=0)
    return {"mean": _to_json(np.mean(values, axis=0)), "low": _to_json(low), "high": _to_json(high)}


def _to_json(values):
    """Numbers for JSON with four decimals; None for NaN."""
    if np.ndim(values):
        return [_to_json(value) for value in values]
    return None if np.isnan(values) else round(float(values), 4)
