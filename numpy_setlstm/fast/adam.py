"""Adam in place: on a million weights, the pure function of :mod:`numpy_setlstm.optimizers` is memory traffic."""

import numpy as np

from numpy_setlstm.optimizers import Adam, adam_update

CHUNK = 2**14  # weights that are updated at a time, so that intermediate results stay in the cache


class FastAdam(Adam):
    """Adam with :func:`adam_in_place`."""

    def step(self, weights, gradient, state, learning_rate):
        """Change the weights and the state **in place**."""
        adam_in_place(weights, gradient, **state, learning_rate=learning_rate, **self.constants)


def adam_in_place(weights, gradient, m, v, age, *, learning_rate, beta1=0.9, beta2=0.999, adam_eps=1e-8):
    """Add one update of Adam to the weights, in place, as is the state; bitwise equal to ``adam_update``.

    Two things make it fast. The corrections depend on the age only, and there are few ages, so they come from a table.
    And a few thousand weights go through all steps of the rule before the next ones do.
    """
    if not all(array.flags.c_contiguous for array in (weights, m, v)):  # these have no flat views
        change, m[...], v[...], age[...] = adam_update(
            gradient, m, v, age, learning_rate=learning_rate, beta1=beta1, beta2=beta2, adam_eps=adam_eps
        )
        weights += change
        return
    age += 1
    powers = np.arange(age.max(initial=0) + 1)
    corrections = [(1 - beta**powers).astype(m.dtype) for beta in (beta1, beta2)]  # 1 - beta^age, by age
    flat = [array.reshape(-1) for array in (weights, gradient, m, v)]
    ages = age.reshape(-1) if age.ndim else None
    for first in range(0, len(flat[0]), CHUNK):
        w, g, m, v = (array[first : first + CHUNK] for array in flat)
        m_correction, v_correction = (
            table[age] if ages is None else table[ages[first : first + CHUNK]] for table in corrections
        )
        m *= beta1  # m = beta1 * m + (1 - beta1) * g
        m += (1 - beta1) * g
        v *= beta2  # v = beta2 * v + (1 - beta2) * g²
        v += (1 - beta2) * g**2
        root = v / v_correction
        np.sqrt(root, out=root)
        root += adam_eps
        change = m / m_correction
        change *= -learning_rate
        change /= root
        w += change
