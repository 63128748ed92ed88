"""The result of a gradient check: the worst entry of each array, as a table for a terminal or a notebook."""

from dataclasses import dataclass, field
from html import escape

import numpy as np

NOTHING_SEEN = (
    "nothing was checked: the loss does not depend on any of the arrays, or too little; does forward use them, and are "
    "the inputs random numbers of about 1?"
)
NO_CAUSE = (
    "No likely cause: the differences fit no mistake that this check knows. Compare backward with forward line by "
    "line, from the end; with the smallest inputs (one text, one step, one unit) the wrong line is soon found."
)
MEANINGS = {
    "unsure": "rounding hides errors of more than a thousandth; check in float64, with inputs and a loss of about 1",
    "too small": "gradients below the rounding of the others or of the loss: neither right nor wrong",
    "no effect": "the loss does not depend on this array",
    "at a kink": "the loss has a corner there, as relu has at 0, and the gradient is one of its slopes: accepted",
}  # of words in the table


class GradientMismatchError(AssertionError):
    """The analytic gradient is not the gradient of the loss.

    Parameters
    ----------
    report : GradientReport
        The result of the check; kept as the attribute `report`.
    """

    def __init__(self, report):
        super().__init__(report.message())
        self.report = report


def is_mismatch(info):
    """Make pytest show the caller's line instead of ours: the value of ``__tracebackhide__``."""
    return info.errisinstance(GradientMismatchError)


@dataclass(frozen=True)
class ArrayReport:
    """The check of one array.

    Attributes
    ----------
    name : str
        Of the parameter.
    shape : tuple of int
        Of the parameter.
    index : tuple of int or str
        Where the error is largest: (row, column) also for a sparse parameter, or "direction 3".
    analytic, numeric : float
        The two gradients there.
    error : float
        Their difference over `scale`.
    scale : float
        The largest gradient of the array.
    limit : float
        The array is correct if `error` is at most this.
    status : str
        "ok", "WRONG", "no effect" (the loss does not depend on this array, and the gradient agrees), "too small" (all
        gradients of this array are below the rounding of the others or of the loss), or "unsure" (rounding hides
        errors of more than a thousandth).
    analytic_all, numeric_all : ndarray of shape (K,)
        The two gradients at all compared entries or directions.
    coordinates : tuple of ndarray of shape (K,)
        The index of each entry along each axis; empty if directions were compared.
    stray : int
        Number of nonzero entries of a dense gradient where the sparse parameter has no connection.
    kinks : int
        Number of entries accepted because the loss has a kink there and allows that slope.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy_setlstm.gradcheck import check_gradients
    >>> params, grads = {"w": np.array([1.0, 2.0])}, {"w": np.array([3.0, 11.0])}
    >>> array = check_gradients(lambda p: (p["w"] ** 3).sum(), params, grads, raises=False)["w"]
    >>> array.place, array.analytic, array.numeric, array.status
    ('w[1]', 11.0, 12.0, 'WRONG')
    """

    name: str
    shape: tuple
    index: tuple | str
    analytic: float
    numeric: float
    error: float
    scale: float
    limit: float
    status: str
    analytic_all: np.ndarray = field(repr=False)
    numeric_all: np.ndarray = field(repr=False)
    coordinates: tuple = field(default=(), repr=False)
    stray: int = 0
    kinks: int = 0

    @property
    def checked(self):
        """Number of entries (or directions) that were compared."""
        return self.analytic_all.size

    @property
    def wrong(self):
        """Which of them are clearly wrong, bool ndarray of shape (K,)."""
        close = np.abs(self.analytic_all - self.numeric_all) <= 10 * self.limit * self.scale
        return ~close & (self.status == "WRONG")

    @property
    def note(self):
        """Counts of wrong, off-connection and kink entries in words; empty if there are none."""
        notes = [f"{np.count_nonzero(self.wrong)} wrong"] if self.wrong.any() else []
        notes += [f"{self.stray} not zero off the connections"] if self.stray else []
        notes += [f"{self.kinks} at a kink"] if self.kinks else []
        return f"({', '.join(notes)})" if notes else ""

    @property
    def ok(self):
        """Whether the array passed."""
        return self.status not in ("WRONG", "unsure")

    @property
    def place(self):
        """The worst entry in Python notation, such as ``W[0, 2]``."""
        if isinstance(self.index, str):
            return f"{self.name} {self.index}"
        return f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name


@dataclass(frozen=True)
class GradientReport:
    """The check of all arrays; shown as a table when printed or in a notebook.

    Attributes
    ----------
    arrays : tuple of ArrayReport
        In the order of the parameters.
    method : str
        The method that was used: "complex" or "central".
    fallback : str
        Why the complex step could not be used; empty unless central differences replaced it.
    diagnoses : tuple of Diagnosis
        Likely causes; empty if nothing is wrong or no cause is certain.
    loss : float
        Loss at the parameters that were checked.
    remarks : tuple of str
        What is untidy, though the values are right, and how many digits were checked if they are few.
    unchecked : tuple of str
        Arrays that an object holds and that change its output, but were not checked.
    strict : bool
        Whether remarks count as failures.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy_setlstm.gradcheck import check_gradients
    >>> params, grads = {"w": np.array([1.0, 2.0])}, {"w": np.array([3.0, 12.0])}
    >>> report = check_gradients(lambda p: (p["w"] ** 3).sum(), params, grads)
    >>> report.ok, report.method, report["w"].checked
    (True, 'complex', 2)
    """

    arrays: tuple
    method: str
    fallback: str = ""
    diagnoses: tuple = ()
    loss: float = 0.0
    remarks: tuple = ()
    unchecked: tuple = ()
    strict: bool = False

    @property
    def ok(self):
        """Whether every array passed, at least one could be judged, and, if strict, nothing is remarked."""
        return all(array.ok for array in self.arrays) and not self.nothing_seen and not (self.strict and self.remarks)

    @property
    def nothing_seen(self):
        """Whether no array has an effect that is large enough to be judged."""
        return all(array.status in ("no effect", "too small") for array in self.arrays)

    @property
    def without_effect(self):
        """The names of the arrays on which the loss does not depend."""
        return tuple(a.name for a in self.arrays if a.numeric_all.size and not a.numeric_all.any())

    @property
    def failures(self):
        """The wrong arrays, worst first."""
        return sorted((array for array in self.arrays if not array.ok), key=lambda a: a.error, reverse=True)

    @property
    def worst(self):
        """The array with the largest error among those that failed, or among all if none did."""
        return max(self.arrays, key=lambda a: (not a.ok, a.error))

    def __getitem__(self, name):
        """Return the report of one array."""
        for array in self.arrays:
            if array.name == name:
                return array
        raise KeyError(f"{name!r} was not checked; the checked arrays are {[a.name for a in self.arrays]}")

    def message(self):
        """Return the text of the AssertionError.

        Returns
        -------
        str
            Lines with the worst entry, the likely causes and the table.
        """
        worst = self.worst
        lines = [
            f"{worst.place}: analytic {worst.analytic:.10g}, numeric {worst.numeric:.10g}, "
            f"error {worst.error:.1e}, limit {worst.limit:.0e}"
        ]
        if not self.failures:
            lines = [NOTHING_SEEN if self.nothing_seen else "the gradients are right, but `strict` allows no remarks"]
        lines += [f"- {text}" for text in self._causes()]
        return "\n".join([*lines, str(self)])

    def _causes(self):
        texts = [diagnosis.text for diagnosis in self.diagnoses]
        return texts if texts or not any(array.status == "WRONG" for array in self.arrays) else [NO_CAUSE]

    def _remarks(self, rows):
        words = [f"{word}: {text}" for word, text in MEANINGS.items() if any(word in row[-1] for row in rows)]
        return [*words, *(f"remark: {text}" for text in self.remarks)]

    def _cells(self):
        header = ("array", "shape", "checked", "worst entry", "analytic", "numeric", "error", "limit", "")
        rows = [
            (a.name, "x".join(map(str, a.shape)) or "scalar", str(a.checked), a.place, f"{a.analytic: .9e}",
             f"{a.numeric: .9e}", f"{a.error:.1e}", f"{a.limit:.0e}", f"{a.status} {a.note}".strip())
            for a in self.arrays
        ]  # fmt: skip
        return header, rows

    def _headline(self):
        how = {"complex": "complex step", "central": "central differences"}[self.method]
        checked = sum(array.checked for array in self.arrays)
        counts = [sum(array.status == status for array in self.arrays) for status in ("WRONG", "unsure")]
        of = f"of {len(self.arrays)} array{'s' * (len(self.arrays) != 1)}"
        words = [f"{n} {of} {word}" for n, word in zip(counts, ("wrong", "unsure"), strict=True) if n]
        words = words or ["no effect was seen" if self.nothing_seen else "all right"]
        words += [f"NOT CHECKED: {', '.join(self.unchecked)}"] if self.unchecked else []
        wrong = ", ".join(words)
        return f"gradient check by {how}, {checked} entries: {wrong}"

    def __str__(self):
        """Return the table for a terminal."""
        header, rows = self._cells()
        widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                 for row in [header, *rows]]  # fmt: skip
        return "\n".join([self._headline(), *table, *self._remarks(rows)])

    def _repr_html_(self):
        """Return the table for a notebook; wrong arrays have a red background."""
        header, rows = self._cells()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        body = ""
        for array, row in zip(self.arrays, rows, strict=True):
            style = "" if array.ok else ' style="background:#fdd;color:#600"'
            body += f"<tr{style}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        texts = [*self._causes(), *self._remarks(rows)]
        causes = "".join(f"<li>{escape(text)}</li>" for text in texts)
        return f"<p>{escape(self._headline())}</p><ul>{causes}</ul><table><tr>{head}</tr>{body}</table>"
