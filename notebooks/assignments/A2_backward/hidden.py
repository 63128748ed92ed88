"""The hidden tests of A2, and what its typical mistakes compute. Students never get this file."""

import contextlib

import numpy as np

from numpy_setlstm import lstm_backward, lstm_forward
from numpy_setlstm.grading import Task, Wrong, expect, expect_gradients, obvious_kind
from numpy_setlstm.layers.lstm import lstm_step_forward

TITLE = "A2: An LSTM, backward"
MINUTES = 180
ALLOWED = ("matplotlib",)  # besides the standard library, NumPy and what students check with
STEP_SIZES = ((3, 5, 4), (1, 2, 3), (4, 3, 1))  # N, D, H
SIZES = ((4, 5, 3, 2, False), (2, 7, 2, 3, True), (3, 1, 4, 2, False))  # N, T, D, H, padding
SMALL, LARGE = (2, 3, 6, 8), (2, 20, 128, 128)  # N, T, D, H of judge_effort; the second has 130,000 weights
MOST_LINES = 60  # lines of Python in a backward pass, as a multiple of the forward pass's


def judge_step(submission, rng):
    """One step, with gradients of h and of c; the memory's own gradient is part of it."""
    for N, D, H in STEP_SIZES:
        states = {"x": rng.normal(size=(N, D)), "h_prev": rng.normal(size=(N, H)), "c_prev": rng.normal(size=(N, H))}
        params = weights(rng, D, H)
        names = [*states, *params]
        right = dict(zip(("h", "c"), step(**states, **params), strict=True))
        compare_forward(submission, "lstm_step_forward", states | params, right)

        def ask(arguments, dh, dc, names=names):
            *_, cache = submission.call("lstm_step_forward", **arguments, keep=[2])
            return named(names, submission.call("lstm_step_backward", dh, dc, cache))

        changes_with_dout(ask, states | params, [rng.normal(size=(2, N, H)) for _ in range(2)])
        judge_effort(submission, step_case(rng, *SMALL), count=True)
        expect_gradients(step, ask, states, params, recognize(step_mistakes), rng)
    judge_effort(submission, step_case(rng, *LARGE))


def judge_time(submission, rng):
    """Backpropagation through 1, 5 and 7 steps, with and without padding; then many weights at once."""
    for N, T, D, H, padding in SIZES:
        x, mask = {"x": rng.normal(size=(N, T, D))}, rng.random((N, T)) < (0.6 if padding else 2)
        mask[0] = True
        if padding:  # between words, where dc has to be passed on too
            mask[1, :3] = True, False, True
        params = weights(rng, D, H)
        right = {"h": sequence(mask)(**x, **params)}
        compare_forward(submission, "lstm_forward", x | params | {"mask": mask}, right)

        def ask(arguments, dh, mask=mask):
            mask = mask[:, : arguments["x"].shape[1]]
            _, cache = submission.call("lstm_forward", **arguments, mask=mask, keep=[1])
            return named(["x", "W_x", "W_h", "b"], submission.call("lstm_backward", dh, cache))

        changes_with_dout(ask, x | params, [[rng.normal(size=(N, T, H))] for _ in range(2)])
        judge_effort(submission, time_case(rng, *SMALL), count=True)
        with step_or_time(submission):
            expect_gradients(sequence(mask), ask, x, params, recognize(time_mistakes(mask)), rng)
    judge_effort(submission, time_case(rng, *LARGE))


def judge_last(submission, rng):
    """The mean cross-entropy of the last state."""
    for N, T, D, H, C in ((5, 4, 3, 2, 3), (2, 3, 2, 4, 2)):
        x, mask = {"x": rng.normal(size=(N, T, D))}, np.ones((N, T), bool)
        mask[-1, -1] = False
        labels = rng.permutation(np.arange(N) % C)
        params = weights(rng, D, H) | {"W_out": rng.normal(size=(H, C)), "b_out": rng.normal(size=C)}
        given = {"labels": labels, "mask": mask}
        right = {"loss": loss(labels, mask)(**x, **params)}
        compare_forward(submission, "loss_forward", x | params | given, right)

        def ask(arguments, dloss, given=given, names=("x", *params)):
            _, cache = submission.call("loss_forward", **arguments, **given, keep=[1])
            grads = named(names, submission.call("loss_backward", cache))
            return {name: dloss * np.asarray(grad) for name, grad in grads.items()}

        judge_effort(submission, last_case(rng, *SMALL), count=True)
        with step_or_time(submission):
            expect_gradients(loss(labels, mask), ask, x, params, recognize(last_mistakes(labels, mask)), rng)
    judge_effort(submission, last_case(rng, *LARGE))


TASKS = [Task("step", 10, judge_step), Task("time", 14, judge_time), Task("last", 6, judge_last)]


def weights(rng, D, H, scale=1.0):
    """Weights by name, large enough for every gate to matter."""
    W_x, W_h = scale * rng.normal(size=(D, 4 * H)), scale * rng.normal(size=(H, 4 * H))
    return {"W_x": W_x, "W_h": W_h, "b": rng.normal(size=4 * H)}


def named(names, grads):
    """Gradients by the names of what they belong to."""
    if not isinstance(grads, tuple | list) or len(grads) != len(names):
        got = f"{len(grads)} things" if isinstance(grads, tuple | list) else type(grads).__name__
        raise Wrong("wrong number of gradients", f"The backward pass returns {got}; expected d{', d'.join(names)}")
    return dict(zip(names, grads, strict=True))


def compare_forward(submission, name, arguments, right):
    """Whether the forward pass is still the one that was given."""
    got = submission.call(name, **arguments, keep=[len(right)])
    try:
        for (array, expected), value in zip(right.items(), got, strict=False):
            expect(array, value, expected)
    except Wrong as found:
        what = obvious_kind(
            lambda x: submission.call(name, **(arguments | {"x": x}), keep=[len(right)])[0], arguments["x"]
        )
        raise Wrong(f"{name} is not the LSTM that was given{f': {what}' * bool(what)}", found.report) from None


def changes_with_dout(ask, arguments, douts):
    """Gradients that are the same for two upstream gradients were not computed from them."""
    one, two = (ask(arguments, *dout) for dout in douts)
    same = [name for name in one if np.array_equal(one[name], two[name])]
    if len(same) == len(one):
        zero = not any(np.any(grad) for grad in one.values())
        words = "the gradients are zero" if zero else "the gradients do not change with dh"
        raise Wrong(words, f"For two different dh, {words}.")


@contextlib.contextmanager
def step_or_time(submission):
    """Tell two mistakes apart that give the same gradients through time: one of them shows in a single step."""
    try:
        yield
    except Wrong as found:
        in_step = found.cause.endswith("dc not carried") and not step_is_right(submission)
        where = found.cause.removesuffix("dc not carried") or "in each step: "
        raise Wrong(where + STEP_MISTAKES[0], found.report, found.signature) if in_step else found from None


def step_is_right(submission):
    """Whether the gradients of a single step are right."""
    try:
        judge_effort(submission, step_case(np.random.default_rng(0), *SMALL))
    except Wrong:
        return False
    return True


def recognize(mistakes):
    """The name of the mistake that computes the gradients of a submission."""

    def cause(grads, arguments, *douts):
        for name, wrong in mistakes(arguments, *douts):
            same = (np.allclose(wrong[k], grads[k], rtol=1e-9, atol=1e-12) for k in grads)
            if all(np.shape(wrong[k]) == grads[k].shape for k in grads) and all(same):
                return name
        return None

    return cause


# Gradients by differences are no backpropagation: they take a forward pass for each weight


def judge_effort(submission, case, count=False):
    """Count lines: the backward pass runs about as many as the forward pass. Or compare gradients of many weights."""
    forward, arguments, backward, douts, right = case
    kept = 2 if "step" in forward else 1
    result, there = submission.measure(forward, **arguments, keep=[kept], count=count)
    got, back = submission.measure(backward, *douts, result[kept], count=count)
    if back["lines"] > MOST_LINES * max(there["lines"], 1):
        lines = f"{back['lines'] / there['lines']:.0f} times as many lines of Python as the forward pass"
        raise Wrong("gradients by differences", f"{backward} runs {lines}: that is no backpropagation.")
    for name, grad in ({} if count else named(list(right), got)).items():
        expect(f"d{name}", grad, right[name])


def step_case(rng, N, T, D, H):
    """One step: names, arguments, upstream gradients and right gradients."""
    states = {"x": rng.normal(size=(N, D)), "h_prev": rng.normal(size=(N, H)), "c_prev": rng.normal(size=(N, H))}
    arguments, douts = states | weights(rng, D, H, 1 / np.sqrt(H)), rng.normal(size=(2, N, H))
    return "lstm_step_forward", arguments, "lstm_step_backward", douts, step_back(arguments, *douts)


def time_case(rng, N, T, D, H):
    """All steps."""
    arguments = {"x": rng.normal(size=(N, T, D))} | weights(rng, D, H, 1 / np.sqrt(H))
    mask, dh = np.ones((N, T), bool), rng.normal(size=(N, T, H))
    right = lstm_backward(dh, lstm_forward(**arguments, mask=mask)[1])._asdict()
    right = {name: right[f"d{name}"] for name in arguments}
    return "lstm_forward", arguments | {"mask": mask}, "lstm_backward", [dh], right


def last_case(rng, N, T, D, H):
    """The loss."""
    arguments = {"x": rng.normal(size=(N, T, D))} | weights(rng, D, H, 1 / np.sqrt(H))
    arguments |= {"W_out": rng.normal(size=(H, 3)), "b_out": rng.normal(size=3)}
    given = {"labels": rng.integers(3, size=N), "mask": np.ones((N, T), bool)}
    return "loss_forward", arguments | given, "loss_backward", [], last_back(arguments, 1.0, **given)


# The right forward passes, which take complex numbers


def step(x, h_prev, c_prev, W_x, W_h, b):
    """One step."""
    return lstm_step_forward(x @ W_x + h_prev @ W_h + b, c_prev)[:2]


def sequence(mask):
    """All steps, with a mask that may be longer."""

    def forward(x, W_x, W_h, b):
        return lstm_forward(x, W_x, W_h, b, mask[:, : x.shape[1]])[0]

    return forward


def loss(labels, mask):
    """The mean cross-entropy."""

    def forward(x, W_x, W_h, b, W_out, b_out):
        y = lstm_forward(x, W_x, W_h, b, mask)[0][:, -1] @ W_out + b_out
        return (np.log(np.exp(y).sum(axis=1)) - y[np.arange(len(labels)), labels]).mean()

    return forward


# What typical mistakes compute


STEP_MISTAKES = (
    "dc of the next step not added",
    "slope of the output gate missing",
    "slope of a sigmoid of the gate",
    "slope of tanh c missing",
    "slope of the candidate missing",
    "c in place of tanh c",
    "blocks of dz in the order ifgo",
    "mean over the batch",
    "h in place of h_prev",
)
TIME_MISTAKES = (
    "dc not carried",
    "dh not carried",
    "nothing carried",
    "weights of the first step only",
    "weights of the last step only",
    "dh only of the last step",
    "padding not skipped",
    "nothing passed on at padding",
    "dh not passed on at padding",
    "dc not passed on at padding",
    "padding passed on, but not masked",
    "steps in forward order",
    "dx from the last step to the first",
)


def step_mistakes(arguments, dh, dc):
    """Each typical mistake of one step, and its gradients."""
    return ((name, step_back(arguments, dh, dc, name)) for name in STEP_MISTAKES)


def step_back(arguments, dh, dc, mistake=""):
    """One step backward, with a typical mistake."""
    x, h_prev, c_prev, W_x, W_h, b = (arguments[name] for name in ("x", "h_prev", "c_prev", "W_x", "W_h", "b"))
    h, c, (i, f, o, g, _, tanh_c) = lstm_step_forward(x @ W_x + h_prev @ W_h + b, c_prev)

    def slope(gate):
        gate = 1 / (1 + np.exp(-gate)) if mistake == "slope of a sigmoid of the gate" else gate
        return gate * (1 - gate)

    do = dh * (c if mistake == "c in place of tanh c" else tanh_c)
    dc = dc * (mistake != "dc of the next step not added")
    dc = dc + dh * o * (1 if mistake == "slope of tanh c missing" else 1 - tanh_c**2)
    dz_o = do * (o if mistake == "slope of the output gate missing" else slope(o))
    dz_g = dc * i * (1 if mistake == "slope of the candidate missing" else 1 - g**2)
    parts = [dc * g * slope(i), dc * c_prev * slope(f), dz_o, dz_g]
    if mistake == "blocks of dz in the order ifgo":
        parts[2:] = parts[:1:-1]
    dz = np.concatenate(parts, axis=1)
    n = len(x) if mistake == "mean over the batch" else 1
    before = h if mistake == "h in place of h_prev" else h_prev
    return {
        "x": dz @ W_x.T,
        "h_prev": dz @ W_h.T,
        "c_prev": dc * f,
        "W_x": x.T @ dz / n,
        "W_h": before.T @ dz / n,
        "b": dz.sum(axis=0) / n,
    }


def time_mistakes(mask):
    """Each typical mistake of backpropagation through time, and its gradients."""

    def mistakes(arguments, dh):
        for name in (*TIME_MISTAKES, *STEP_MISTAKES):
            where = "in each step: " if name in STEP_MISTAKES else ""
            yield where + name, back(arguments, dh, mask[:, : dh.shape[1]], name)

    return mistakes


def back(arguments, dh, mask, mistake=""):
    """All steps backward, with a typical mistake."""
    x, W_x, W_h, b = (arguments[name] for name in ("x", "W_x", "W_h", "b"))
    h, c, before = np.zeros(dh[:, 0].shape), np.zeros(dh[:, 0].shape), []
    for t in range(x.shape[1]):
        before.append((h, c))
        word = mask[:, t, None]
        h, c = (np.where(word, new, old) for new, old in zip(step(x[:, t], h, c, W_x, W_h, b), (h, c), strict=True))
    grads = {"x": np.zeros(x.shape), "W_x": 0, "W_h": 0, "b": 0}
    dh_next, dc_next = np.zeros(h.shape), np.zeros(h.shape)
    times = range(len(before))
    for t in times if mistake == "steps in forward order" else reversed(times):
        word = mask[:, t, None] | (mistake == "padding not skipped")
        dh_t = dh[:, t] * (mistake != "dh only of the last step" or t == times[-1]) + dh_next
        point = {"x": x[:, t], "h_prev": before[t][0], "c_prev": before[t][1], "W_x": W_x, "W_h": W_h, "b": b}
        into = word | (mistake == "padding passed on, but not masked")
        one = step_back(point, np.where(into, dh_t, 0), np.where(into, dc_next, 0), mistake)
        grads["x"][:, times[-1] - t if mistake == "dx from the last step to the first" else t] = one["x"]
        lost = mistake.replace("nothing", "dh, dc") if mistake.endswith("passed on at padding") else ""
        keeps_h, keeps_c = (mistake not in (f"{name} not carried", "nothing carried") for name in ("dh", "dc"))
        dh_next = (one["h_prev"] + np.where(word | ("dh" in lost), 0, dh_t)) * keeps_h
        dc_next = (one["c_prev"] + np.where(word | ("dc" in lost), 0, dc_next)) * keeps_c
        only = {"weights of the first step only": t == 0, "weights of the last step only": t == times[-1]}
        for name in ("W_x", "W_h", "b"):
            grads[name] = grads[name] + one[name] * only.get(mistake, True)
    return grads


LAST_MISTAKES = (
    "divided by N twice",
    "not divided by N",
    "divided by N and T",
    "label not subtracted",
    "sign of dy",
    "dh of all steps",
)


def last_mistakes(labels, mask):
    """Each typical mistake of the loss, and its gradients; those of lstm_backward show here too."""

    def mistakes(arguments, dloss):
        for name in LAST_MISTAKES:
            yield name, last_back(arguments, dloss, labels, mask, name)
        for name in (*TIME_MISTAKES, *STEP_MISTAKES):
            if name == "dh only of the last step":  # which is right here
                continue
            yield f"in lstm_backward: {name}", last_back(arguments, dloss, labels, mask, name)

    return mistakes


def last_back(arguments, dloss, labels, mask, mistake=""):
    """The gradients of the loss, with a typical mistake."""
    of_lstm = {name: arguments[name] for name in ("x", "W_x", "W_h", "b")}
    h = lstm_forward(**of_lstm, mask=mask)[0]
    y = np.exp(h[:, -1] @ arguments["W_out"] + arguments["b_out"])
    (N, T), onehot = mask.shape, np.arange(y.shape[1]) == labels[:, None]
    dy = y / y.sum(axis=1, keepdims=True) - onehot * (mistake != "label not subtracted")
    dy = dy * {"divided by N twice": 1 / N, "not divided by N": N, "divided by N and T": 1 / T, "sign of dy": -1}.get(
        mistake, 1
    )
    dy = dloss * dy / N
    dh, steps = np.zeros(h.shape), slice(None) if mistake == "dh of all steps" else slice(-1, None)
    dh[:, steps] = (dy @ arguments["W_out"].T)[:, None]
    return back(of_lstm, dh, mask, mistake) | {"W_out": h[:, -1].T @ dy, "b_out": dy.sum(axis=0)}
