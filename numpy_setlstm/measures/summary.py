"""Everything about the topology of one run that goes into a small JSON file, each number with its null."""

import numpy as np

from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.degrees import degree_dispersion, expected_dispersion, random_dispersions
from numpy_setlstm.measures.evolution import (
    RESERVED_ROWS,
    WORD_BAND_NAMES,
    as_topology,
    ever_tried,
    expected_ever_tried,
    gates_of,
    matched_null,
    replay,
    surviving_fraction,
    turnover,
    word_bands,
)
from numpy_setlstm.measures.expansion import expansion, gate_of, rewired
from numpy_setlstm.topology import erdos_renyi

EDGES = (2.5, 97.5)  # percentiles between which a null model's range lies


def describe(initial, steps, *, seed=0, n_nulls=20):
    """What the connections of one network looked like and what happened to them, beside what chance does.

    Parameters
    ----------
    initial : dict of str to Topology or SparseMatrix
        The sparse matrices before the first step, such as a training state's ``initial_topologies``: of "E" (V, D),
        "W_x" (D, 4H) and "W_h" (H, 4H) those that there are.
    steps : sequence of dict of str to SetStep
        A history's ``set_steps``; empty for a network that did not evolve.
    seed : int
        Of the null models.
    n_nulls : int, default 20
        How many evolutions without training, and how many random graphs, to compare with.

    Returns
    -------
    dict of str to dict
        By matrix, ready for JSON; lists have a number per step, or for `survival` and `ever_tried` one more, which is
        the start. Where it says ``null``, ``{"mean", "low", "high"}`` are the mean and the range of the middle 95 % of
        `n_nulls` null models.

        ``shape``, ``connections``
            Of the matrix.
        ``degrees``
            For "rows" and "columns" the variance over the mean of the degrees: ``before``, ``after``, what a random
            graph is ``expected`` to have, its ``random`` range, and the ``null`` after an evolution without training.
        ``turnover``
            By gate, or by band of word frequency: the fraction that was ``pruned`` in each step, and its ``null``.
        ``survival``
            Fraction of the initial connections that was never pruned: ``observed``, ``null``.
        ``ever_tried``
            Share of the possible connections that has ever existed: ``observed``, ``expected``.
        ``expansion``
            For "all" and for each gate, of an embedding for "all" only: ``sigma_1``, ``sigma_2``, ``bound`` at the
            start and at the end, each ``[before, after]``; for ``random`` graphs of that size and for graphs of the
            ``same_degrees``, the range of sigma_2.

    Notes
    -----
    The range is that of the null models drawn, and few of them draw it too narrow: about the share
    :math:`(2 + 0.05 (n - 1)) / (n + 1)` of another null model's numbers lies outside, one in seven with 20 of them and
    6 % with 200. To count how many numbers lie outside, take 200, and count those of further null models as well.

    Examples
    --------
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
            continue  # dense: everything is connected, and stays so
        rng = np.random.default_rng([seed, *name.encode()])  # the same in whatever order the matrices come
        described[name] = _describe_matrix(name, as_topology(matrix), [step[name] for step in steps], rng, n_nulls)
    return described


def _describe_matrix(name, before, steps, rng, n_nulls):
    reserved = {"reserved_rows": RESERVED_ROWS.get(name, 0)}
    after = replay(before, steps)[-1]
    groups = (word_bands, WORD_BAND_NAMES) if name == "E" else (gates_of(before.shape), GATES)
    nulls = [_null_of(before, steps, groups, rng, reserved) for _ in range(n_nulls if steps else 0)]
    pruned, _ = turnover(before, steps, groups[0], len(groups[1]))
    return {
        "shape": list(before.shape),
        "connections": len(before.rows),
        "degrees": {
            side: _describe_degrees(before, after, axis, [null[side] for null in nulls], rng, n_nulls, reserved)
            for axis, side in ((1, "rows"), (0, "columns"))
        },
        "turnover": {
            group: {"pruned": _plain(pruned[:, k]), "null": _range([null["turnover"][:, k] for null in nulls])}
            for k, group in enumerate(groups[1])
        },
        "survival": {
            "observed": _plain(surviving_fraction(before, steps)),
            "null": _range([null["survival"] for null in nulls]),
        },
        "ever_tried": {
            "observed": _plain(ever_tried(before, steps, **reserved)),
            "expected": _plain(expected_ever_tried(before, steps, **reserved)),
        },
        "expansion": _describe_expansion(name, before, after, rng, n_nulls, reserved),
    }


def _null_of(before, steps, groups, rng, reserved):
    """The same measures of one evolution without training."""
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
        "before": _plain(degree_dispersion(before, axis, **reserved)),
        "after": _plain(degree_dispersion(after, axis, **reserved)),
        "expected": _plain(expected_dispersion(shape, nnz, axis, **reserved)),
        "random": _range(random_dispersions(shape, nnz, axis, rng, n_draws=10 * n_nulls, **reserved)),
        "null": _range(null),
    }


def _describe_expansion(name, before, after, rng, n_nulls, reserved):
    """Spectra of the whole matrix and of its gates; of the large embedding a quarter of the nulls, which cost most."""
    parts = {"all": (before, after)}
    if name != "E":
        parts |= {gate: (gate_of(before, k), gate_of(after, k)) for k, gate in enumerate(GATES)}
    result = {}
    for part, (first, last) in parts.items():
        found = [expansion(topology, **reserved) for topology in (first, last)]
        n = max(2, n_nulls // 4 if name == "E" else n_nulls)
        random = [expansion(_random_as(last, rng, reserved), **reserved).sigma_2 for _ in range(n)]
        same_degrees = [expansion(rewired(last, rng), **reserved).sigma_2 for _ in range(n)]
        result[part] = {key: [_plain(getattr(each, key)) for each in found] for key in ("sigma_1", "sigma_2", "bound")}
        result[part] |= {"random": _range(random), "same_degrees": _range(same_degrees)}
    return result


def _random_as(topology, rng, reserved):
    density = len(topology.rows) / max(topology.shape[0] * topology.shape[1], 1)
    return erdos_renyi(topology.shape, rng, density=density, **reserved)


def _range(values):
    """Mean and range of null models' numbers, or of their curves, in JSON's types; None without any."""
    if not len(values):
        return None
    low, high = np.percentile(values, EDGES, axis=0)
    return {"mean": _plain(np.mean(values, axis=0)), "low": _plain(low), "high": _plain(high)}


def _plain(values):
    """Numbers of JSON with four digits after the point; None for NaN."""
    if np.ndim(values):
        return [_plain(value) for value in values]
    return None if np.isnan(values) else round(float(values), 4)
