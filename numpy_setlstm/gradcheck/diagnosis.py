"""Likely causes, inferred from the pattern of the differences.

A rule applies only if its pattern holds for all entries of an array, to the precision of the check, and if the
entries that it calls correct have a significant gradient. So a rule may miss its bug, but what it says is true.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

#: The order of the gates that the diagnoses assume, unless another is given.
GATES = ("i", "f", "o", "g")


@dataclass(frozen=True)
class Diagnosis:
    """A likely cause.

    Attributes
    ----------
    kind : str
        "factor", "sign", "zero", "nan", "transposed", "exchanged", "copied", "gate order", "gate",
        "repeated", "off-connection", "no effect"; of :func:`check_layer` only: "output", "carry", "ignored".
    arrays : tuple of str
        Names of the arrays that it explains.
    text : str
        The cause, and where to look for it.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy_setlstm.gradcheck import check_gradients
    >>> params, grads = {"w": np.array([1.0, 2.0])}, {"w": np.array([6.0, 24.0])}
    >>> report = check_gradients(lambda p: (p["w"] ** 3).sum(), params, grads, raises=False)
    >>> [diagnosis.kind for diagnosis in report.diagnoses]
    ['factor']
    """

    kind: str
    arrays: tuple
    text: str


def diagnose(arrays, gates=GATES, tokens=None):
    """Return the causes that are certain, a tuple of Diagnosis; for the options see `check_gradients`."""
    failed = [array for array in arrays if array.wrong.any() and not nearly_right(array)]
    found = defaultdict(list)  # (kind, sentence) -> the names of the arrays that it explains
    for one, two in combinations(failed, 2):
        if exchanged(one, two):
            found[EXCHANGED] += [one.name, two.name]
    explained = {name for names in found.values() for name in names}
    for array in failed:
        if array.name not in explained:
            found[copied(array, arrays)].append(array.name)
    explained = {name for key, names in found.items() if key for name in names}
    found.pop(None, None)
    for array in failed:
        if array.name not in explained:
            findings = (rule(array, gates) for rule in RULES)
            found[next(filter(None, findings), None)].append(array.name)
    drop_uncorroborated_rows(found, failed, gates)
    letters = gates_by_name(arrays) if set(found) == {None} else None
    if letters:
        found = defaultdict(list, {letters[0]: letters[1]})
    unexplained = len(failed) == 1 and set(found) == {None}
    if unexplained and tokens is not None and only_repeated_rows(failed[0], tokens):
        found[REPEATED].append(failed[0].name)
    for array in arrays:
        if array.stray:
            found[STRAY].append(array.name)
    found.pop(None, None)
    return tuple(
        Diagnosis(kind, tuple(names), sentence.format(which=", ".join(names), are="are" if names[1:] else "is"))
        for (kind, sentence), names in found.items()
    )


def drop_uncorroborated_rows(found, failed, gates):
    """Drop a block of wrong rows found in one array only: the rows may be sequences of a batch instead of a gate."""
    by_name = {array.name: array for array in failed}
    for key in [key for key in found if key and key[0] == "gate" and len(found[key]) == 1]:
        if gate_block(by_name[found[key][0]], gates, axes=(-1,)) != key:
            found[None] += found.pop(key)


def agree(array, a, b):
    """Return whether two gradients of an array agree to the precision of the check."""
    return bool(np.all(np.abs(a - b) <= 20 * array.limit * array.scale))


def nearly_right(array):
    """Return whether an array is off by so little that no pattern can be recognized."""
    return array.status == "unsure" or agree(array, array.analytic_all, array.numeric_all)


def significant(array):
    """Return which entries have a gradient that is clearly not zero, bool ndarray of shape (K,)."""
    return np.abs(array.numeric_all) > 1e-6 * array.scale


def not_a_number(array, gates):
    """Find NaN or infinity in the gradient."""
    if not np.isfinite(array.analytic_all).all():
        return "nan", "{which}: NaN or infinity in the gradient; look for a division by zero or a log of zero."
    return None


def factor(array, gates):
    """Find a factor by which all entries are off."""
    ratio = ratio_of(array, np.ones(array.checked, bool))
    if ratio is None or np.count_nonzero(significant(array)) < 2 or abs(ratio - 1) < 100 * array.limit:
        return None
    if abs(ratio) < 100 * array.limit:
        return "zero", "{which}: the gradient is zero everywhere: never computed, or overwritten?"
    if abs(ratio + 1) < 100 * array.limit:
        return "sign", "{which}: correct except for the sign, in every entry; look for a missing or extra minus sign."
    return "factor", (
        f"{{which}}: the gradient is {factor_in_words(ratio)} in every entry; look for a missing or extra factor, such "
        "as the 1/N of a mean over the batch, or the 2 from the derivative of a square."
    )


def ratio_of(array, chosen):
    """Return the number r with analytic = r * numeric at all chosen entries, or None."""
    a, n = array.analytic_all[chosen], array.numeric_all[chosen]
    if not significant(array)[chosen].any():
        return None
    largest = np.argmax(np.abs(n))
    ratio = float(a[largest] / n[largest])
    return ratio if agree(array, a, ratio * n) else None


def factor_in_words(ratio):
    """Return a ratio in words: 4 times too large, √3 times too small, 1.01 times what it should be."""
    for count, words in ((ratio, "too large"), (1 / ratio, "too small")):
        for root, number in (("", count), ("√", count * abs(count))):
            if round(number) >= 2 and abs(number - round(number)) < 1e-6 * number:
                return f"{root}{round(number)} times {words}"
    return (
        f"{ratio:.6g} times what it should be" if abs(ratio - 1) > 1e-5 else f"1 + {ratio - 1:.1e} times the true one"
    )


def partial_sign(array, gates):
    """Find wrong entries with nothing but a wrong sign, unless they are all those of a gate."""
    ratio = ratio_of(array, array.wrong)
    if ratio is None or abs(ratio + 1) > 100 * array.limit or not array.coordinates:
        return None
    if gate_block(array, gates):
        return None  # the diagnosis of the gate says more
    n_wrong = np.count_nonzero(array.wrong)
    entries = "1 entry" if n_wrong == 1 else f"{n_wrong} entries"
    return "sign", f"{{which}}: {entries} correct except for the sign, all others correct; check the sign there."


def in_shape(array, numbers):
    """Return numbers in the shape of their array if all of its entries were checked, otherwise None."""
    whole = array.coordinates and numbers.size == np.prod(array.shape)
    return numbers.reshape(array.shape) if whole else None


def transposed(array, gates):
    """Find a gradient that equals the correct one with two of its axes exchanged."""
    numeric = in_shape(array, array.numeric_all)
    for one, two in combinations(range(numeric.ndim), 2) if numeric is not None else ():
        turned = numeric.swapaxes(one, two)
        if turned.shape == numeric.shape and agree(array, array.analytic_all, turned.ravel()):
            axes = "rows and columns" if numeric.ndim == 2 else f"axes {one} and {two}"
            return (
                "transposed",
                f"{{which}}: the gradient is transposed: {axes} are exchanged; look for a missing or extra .T.",
            )
    return None


EXCHANGED = (
    "exchanged",
    "{which}: each has the other's gradient; check the names and the order of the return values.",
)


def exchanged(one, two):
    """Return whether two arrays have each other's gradient."""
    return (
        one.shape == two.shape
        and one.checked == two.checked > 1
        and agree(one, one.analytic_all, two.numeric_all)
        and agree(two, two.analytic_all, one.numeric_all)
    )


def copied(array, others):
    """Find an array that has the correct gradient of another one, as from a copied line of code."""
    for other in others:
        if (
            other is not array
            and other.shape == array.shape
            and other.checked == array.checked > 1
            and significant(other).any()
            and np.all(np.abs(array.analytic_all - other.numeric_all) <= 20 * other.limit * other.scale)
        ):
            name = other.name.replace("{", "{{").replace("}", "}}")  # the sentence is a format
            return "copied", f"{{which}}: given the gradient of {name}; a copied line that was only partly changed?"
    return None


def gates_by_name(arrays):
    """Find wrong letters among arrays whose names differ in one letter only (W_f, W_i, W_o and b_f, b_i, b_o).

    At least two arrays of each wrong letter must be wrong and no significant one correct, and all arrays of at least
    two other letters must be correct. Arrays without such a letter, such as x and h, may be either, because a wrong
    gate spoils what flows back through it. Returns the finding and the names of its arrays, or None.
    """
    families = families_of([array.name for array in arrays])
    by_name = {array.name: array for array in arrays}
    wrong, right = set(), set()
    for family in families:
        for letter, name in family.items():
            if by_name[name].wrong.any():
                wrong.add(letter)
            elif significant(by_name[name]).any():
                right.add(letter)
    if not wrong or wrong & right or len(right) < 2:
        return None
    members = {
        letter: [family[letter] for family in families if by_name[family[letter]].wrong.any()] for letter in wrong
    }
    if min(map(len, members.values())) < 2:
        return None
    names = [name for letter in sorted(wrong) for name in members[letter]]
    letters = " and ".join(sorted(wrong))
    others = ", ".join(sorted(right))
    sentence = f"{{which}} {{are}} wrong, their counterparts for {others} correct: look only at the lines of {letters}."
    return ("gate", sentence), names


def families_of(names):
    """Return the groups of names that differ in one letter, and in the same letters: list of dicts letter -> name."""
    templates = defaultdict(dict)
    for name in names:
        for k, letter in enumerate(name):
            if letter.isalpha() and len(name) > 1:
                templates[name[:k], name[k + 1 :]][letter] = name
    families = [family for family in templates.values() if len(family) > 2]
    return [family for family in families if set(family) == set(families[0])]


def gate_order(array, gates):
    """Find a gradient that equals the correct one with its blocks of columns in another order."""
    numeric = in_shape(array, array.numeric_all)
    if numeric is None or numeric.shape[-1] % len(gates) or len(gates) > 4:  # 4 gates: 24 orders to try
        return None
    blocks = np.split(numeric, len(gates), axis=-1)
    for order in permutations(range(len(gates))):
        if agree(array, array.analytic_all, np.concatenate([blocks[k] for k in order], axis=-1).ravel()):
            got, blocks = ", ".join(gates[k] for k in order), ", ".join(str(k + 1) for k in order)
            return "gate order", (
                f"{{which}}: the {len(gates)} blocks of the last axis are in the order {blocks} (of the gates "
                f"{', '.join(gates)}: {got}); compare how backward joins them with how forward splits them."
            )
    return None


def no_effect(array, gates):
    """Find wrong entries on which the loss does not depend."""
    if np.count_nonzero(array.wrong) < 2 or array.numeric_all[array.wrong].any():
        return None
    if not array.numeric_all.any():
        return "no effect", (
            "{which} {are} given a gradient, but the loss does not depend on {which} at all: does the forward pass "
            "use something else instead?"
        )
    if significant(array).any():
        return "no effect", (
            "{which} {are} not zero at entries on which the loss does not depend, and correct elsewhere: the "
            "backward pass omits what removes these entries in the forward pass (a mask, the choice of a maximum, "
            "padding, dropout)."
        )
    return None


def gate_block(array, gates, axes=(-1, 0)):
    """Find one block of columns (or rows) of a gate that is wrong throughout, while all others are correct."""
    for axis in axes if len(array.coordinates) == 2 else (-1,) if len(array.coordinates) == 1 else ():
        size, rest = divmod(array.shape[axis], len(gates))
        lines = array.coordinates[axis]  # the column (or row) of each entry
        wrong, matter = set(lines[array.wrong]), set(lines[significant(array)])
        if rest or size < 2 or len(wrong) < 2:
            continue
        blocks = {line // size for line in matter}
        if len(blocks) > 2 and wrong == {line for line in matter if line // size == min(wrong) // size}:
            k = int(min(wrong) // size)
            return "gate", (
                f"{{which}} {{are}} wrong in only one of {len(gates)} blocks, number {k + 1}: if the gates are in the "
                f"order {', '.join(gates)}, that is gate {gates[k]}; look only at the lines of that gate."
            )
    return None


def lost_carry(array):
    """Return the text on correct last time steps with all earlier ones wrong, where the gradient is significant."""
    if in_shape(array, array.numeric_all) is None or len(array.shape) != 3:
        return None
    counts = set()
    for features in (2, 1, 0):  # (N, T, D) and (T, N, D), (N, D, T) and (T, D, N), (D, N, T)
        matter = in_shape(array, significant(array)).any(axis=features)
        wrong = in_shape(array, array.wrong).any(axis=features)
        counts |= {right_steps(matter, wrong), right_steps(matter.T, wrong.T)} - {None}
    if len(counts) != 1:
        return None
    right = counts.pop()
    steps = "step" if right == 1 else f"{right} steps"
    return (
        f"{{which}} {{are}} correct in the last {steps} and wrong in all earlier ones: what each step passes back to "
        "the previous one (dh, and dc in an LSTM) is lost or wrong, or earlier steps read the cache of another step."
    )


def right_steps(matter, wrong):
    """Return how many last steps are correct in every sequence if all earlier ones are wrong, otherwise None.

    `matter` and `wrong`, bool of shape (N, T), tell which steps have a gradient, and which of these are wrong.
    """
    counts = set()
    for steps_that_matter, wrong_steps in zip(matter, wrong, strict=True):
        steps, bad = np.flatnonzero(steps_that_matter), np.flatnonzero(wrong_steps)
        if not np.array_equal(bad, steps[: bad.size]) or steps.size == bad.size > 0:
            return None
        if bad.size:
            counts.add(steps.size - bad.size)
    return counts.pop() if len(counts) == 1 and np.count_nonzero(wrong) > 1 else None


REPEATED = (
    "repeated",
    "{which} {are} wrong only in the rows of words that occur more than once: the gradients of all occurrences must "
    "be added. `dE[ids] = g` and `dE[ids] += g` keep one, np.add.at(dE, ids, g) adds.",
)


def only_repeated_rows(array, tokens):
    """Return whether exactly the rows of repeated words are wrong, and those of words that occur once correct."""
    if len(array.coordinates) != 2:
        return False
    rows = array.coordinates[0]
    words, counts = np.unique(np.asarray(tokens), return_counts=True)
    matter = set(rows[significant(array)])
    once, repeated = set(words[counts == 1]) & matter, set(words[counts > 1]) & matter
    return bool(once) and set(rows[array.wrong]) == repeated and np.count_nonzero(array.wrong) > 1


STRAY = (
    "off-connection",
    "{which} {are} not zero where there is no connection: multiply the gradient by the connections' mask.",
)

RULES = (not_a_number, factor, partial_sign, transposed, gate_order, no_effect, gate_block)
