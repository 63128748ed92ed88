"""Finding the operation in which a loss drops the imaginary part of its parameters."""

import traceback
from pathlib import Path

import numpy as np

OURS, NUMPYS = Path(__file__).parent, Path(np.__file__).parent
UNKNOWN = "somewhere the loss drops the imaginary part (abs, .real, conj, a copy into a real array?)"


class Traced(np.ndarray):
    """A complex array that records every operation that does not treat it as a complex variable.

    Comparisons are not recorded: NumPy compares complex arrays by their real part, which is what ReLU needs.
    """

    notes = None

    def __array_finalize__(self, parent):
        """Pass the list of notes on to views and results."""
        self.notes = getattr(parent, "notes", None)

    def note(self, operation):
        """Record an operation and the line of user code that contains it."""
        if self.notes is not None:
            frame = users_frame(traceback.extract_stack())
            self.notes.append(f"`{operation}` drops the imaginary part{f', {frame}' if frame else ''}")

    @property
    def real(self):
        """The real part; recorded."""
        self.note(".real")
        return np.asarray(self).real

    def astype(self, dtype, *args, **kwargs):
        """Convert; recorded unless the new type is complex too."""
        if np.dtype(dtype).kind != "c":
            self.note(f".astype({np.dtype(dtype)})")
        return super().astype(dtype, *args, **kwargs)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        """Compute as an ordinary array does; record absolute values and conjugates."""
        if ufunc in (np.absolute, np.conjugate) and method == "__call__":
            self.note(ufunc.__name__)
        inputs = [np.asarray(x) if isinstance(x, Traced) else x for x in inputs]
        if out is not None:
            kwargs["out"] = tuple(np.asarray(x) if isinstance(x, Traced) else x for x in out)
        result = getattr(ufunc, method)(*inputs, **kwargs)
        if out is not None or not np.iscomplexobj(result):
            return out[0] if out is not None else result
        result = np.asarray(result).view(Traced)
        result.notes = self.notes
        return result


def where_lost(loss_at, name):
    """Run the loss with the parameter `name` traced; return, in words, where its imaginary part is dropped."""
    notes = []

    def traced(numbers):
        array = numbers.view(Traced)
        array.notes = notes
        return array

    try:
        loss_at(name, 1e-20j, wrap=traced)
    except Exception:  # the user's code may not accept such an array; only the notes matter
        pass
    return notes[0] if notes else UNKNOWN


def users_frame(frames):
    """Describe the deepest frame that belongs neither to NumPy nor to this package, or return ''."""
    for frame in reversed(frames):
        path = Path(frame.filename)
        if not {OURS, NUMPYS} & set(path.parents):
            code = f", `{frame.line}`" if frame.line else ""
            return f"line {frame.lineno} of {path.name}{code}"
    return ""
