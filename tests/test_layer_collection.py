"""The gradient check on a hundred layers as other people write them, and on mistakes planted in them."""

import layer_collection as collection
import numpy as np
import pytest
from collected.base import LAYERS, variant
from planted_bugs import BUGS

from numpy_setlstm import check_layer

EXACT = 1e-8  # of the collection's own central differences
CLEARLY_WRONG = 0.01


def bug_names():
    return [f"{bug.layer}: {bug.kind}, {k}" for k, bug in enumerate(BUGS)]


def test_the_collection_is_large_enough():
    assert len(LAYERS) >= 100 and len({entry.style for entry in LAYERS.values()}) >= 50
    assert len(BUGS) >= 150 and {bug.kind for bug in BUGS} == set(collection.KINDS)


@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_is_right_by_central_differences_that_know_nothing_of_the_package(name):
    error, array = collection.true_error(LAYERS[name])
    assert error < EXACT, f"{array} is off by {error:.1e}"


@pytest.mark.parametrize("name", LAYERS)
def test_a_right_layer_passes_by_its_plain_call(name):
    for seed in (0, 1):
        verdict = collection.verdict_on(LAYERS[name], check_layer, seed)
        assert verdict.outcome == "passed", f"{verdict.outcome}: {verdict.text}"


@pytest.mark.parametrize("bug", BUGS, ids=bug_names())
def test_the_mistake_is_a_mistake_by_the_same_differences(bug):
    error, array = collection.true_error_of_bug(bug)
    assert error > CLEARLY_WRONG, f"{array} is off by {error:.1e} only"


@pytest.mark.parametrize("bug", BUGS, ids=bug_names())
def test_the_mistake_is_caught_and_what_is_said_of_it_is_true(bug):
    verdict = collection.verdict_on_bug(bug, check_layer)
    assert verdict.outcome in ("named", "not named"), f"{verdict.outcome}: {verdict.text}"


def test_no_two_arrays_of_a_layer_are_of_unlucky_sizes():
    """Two axes of a layer's first input differ, so that a sum over the wrong one is noticed."""
    for entry in LAYERS.values():
        arrays = entry.make(np.random.default_rng(0)).arrays.values()
        shapes = {size for array in arrays for size in array.shape}
        assert len(shapes) > 1 or all(array.ndim == 1 for array in arrays), entry.name


def test_a_change_must_fit_its_layer():
    with pytest.raises(AssertionError, match="occurs 0 times"):
        variant(LAYERS["ReLU"], ("no such text", ""))
