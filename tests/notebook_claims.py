"""What holds for the notebooks as they are committed: run after their last cell, in the same kernel.

The text of a notebook says these things of the values that it is committed with. For other values they need not hold,
so a cell must not assert them; what has to hold for any values, a cell does assert, with a message.
"""

CLAIMS = {
    "00": """
assert 0.5 < by_counting < 0.65
assert accuracy > 0.9 and clf.n_parameters_ < 0.04 * clf.n_dense_parameters_
assert len(before.rows) == len(after.rows) and 0.2 < kept.mean() < 0.8
null_kept = np.isin(before.keys, replay(before, null_steps)[-1].keys)
assert abs(kept.mean() - null_kept.mean()) < 0.15
assert plotting.surviving_fraction(before, steps)[-1] <= kept.mean()
negations = ("not ", "wasn't", "never", "hardly", "far from", "nobody")
assert all(any(word in texts[k].lower() for word in negations) for k in wrong[:3])
""",
    "01": """
assert vectors("not good").tolist() == [[[0, 0, 1, 0], [1, 1, 0, 0]]]
assert sigmoid(5) > 0.99 and sigmoid(-5) < 0.01 and sigmoid(0) == 0.5
assert step["c"] < -0.98 and step["f"] < 0.01 and fooled > 0.98
assert np.count_nonzero(W_h) == 2
T_NOT, T_GOOD, T_BUT = (SENTENCES[1].split().index(word) for word in ("not", "good", "but"))
first, second = (read(sentence, W_x, W_h, b) for sentence in SENTENCES[:2])
i = second["i"]
doors = np.stack([i[T_NOT - 1], first["i"][3], i[T_BUT], i[T_GOOD]])[:, :2]  # the columns of the table
assert np.allclose(np.log(doors / (1 - doors)), [[-5, -20], [5, -10], [-20, -5], [-10, 5]], atol=0.2)
assert second["c"][T_NOT, NEGATED] > 0.98 and second["c"][T_BUT, NEGATED] < 0.01
assert i[T_GOOD, PLAIN] < 0.01 and i[T_GOOD, TURNED] > 0.98 and second["c"][T_GOOD, TURNED] < -0.97
assert abs(second["c"][-1, PLAIN]) < 0.01 and second["c"][-1, TURNED] < -0.9
assert sorted(SENTENCES[0].split()) == sorted(SENTENCES[1].split())
ends = [sigmoid(states["h"][-1] @ W_out) for states in (first, second)]
assert ends[0] > 0.95 and ends[1] < 0.05
for gate in GATES:
    moves = np.abs(np.diff(random_states[gate], axis=0)).max(axis=1)
    assert moves[near].max() > moves[~near].max()
""",
    "02": """
assert reached[0] < 1e-3 < reached[1] < 0.3 < reached[3]
plain = factor(norms(plain_flow(tokens)))
assert full[0] < plain < full[1] and full[0] < 0.7 < full[1] < 0.9 < 0.95 < full[3]
for bias in BIASES:
    assert abs(cut[bias] - sigmoid(bias)) < 0.04  # the prediction holds
    assert full[bias] > cut[bias]  # and the path through h adds to it
assert left[-11] > 0.05 and left[0] < 1e-8
assert factors[1] < factors[2] < factors[4] < factors[8] and factors[1] < 0.9 and factors[8] > 1.03
assert max(accuracies[20, 0] + accuracies[40, 0]) < 0.6  # no better than guessing
assert min(accuracies[20, 3] + accuracies[40, 3]) > 0.95  # solved
assert np.mean(accuracies[40, 1]) < np.mean(accuracies[20, 1])
assert errors[0][3] < 0.02 and errors[3][4] > 0.3
assert all(values == sorted(values, reverse=True) for values in errors.values())
""",
    "03": """
forward, central, complex_ = np.array(list(slope_errors.values())).T
assert forward.min() > 1e-10 and central.min() > 1e-13 and complex_[3:].max() < 1e-15
assert forward[-1] == central[-1] == 1  # a step of 1e-100 changes nothing
best = {name: (sizes[found.argmin()], found.min()) for name, (sizes, found) in curves.items()}
assert 1e-8 < best["forward difference"][0] < 1e-5 and best["forward difference"][1] > 1e-9
assert 1e-5 < best["central difference"][0] < 1e-2 and 1e-12 < best["central difference"][1] < 1e-8
sizes, found = curves["complex step"]
assert found[sizes <= 1e-8].max() < 1e-13
kinds = {name: report.diagnoses[0].kind for name, report in reports.items() if report.diagnoses}
assert kinds == {"1 no slope": "gate", "2 no carry": "carry", "3 gate order": "gate order", "4 mean": "factor"}
assert "that is gate f" in reports["1 no slope"].diagnoses[0].text
assert [array.name for array in reports["4 mean"].failures] == ["b"]
assert itself > 10 * central_report.worst.error
ends = {name: values[-1] for name, values in losses.items()}
assert all(values[-1] < 0.9 * values[0] for values in losses.values())
assert ends["bug 1, no slope"] < ends["correct"] < ends["bug 2, no carry"]
assert ok == {"zero": True, "random": False}
""",
    "04": """
assert W.nnz == 8 and W.size == 24
assert sizes[0.04].nbytes == 12 * sizes[0.04].nnz
""",
    "05": """
assert wrong.any() and abs(owned.mean() - lam) < 0.01
assert np.abs(exact - poisson).max() < 0.003 and np.abs(drawn - poisson).max() < 0.01
assert abs(shared.std() / np.sqrt(shared.mean()) - 1) < 0.15
for fraction, epsilon in zip(fractions, epsilons):
    law = math.exp(-epsilon * (1 + D / V))
    assert abs(fraction - law) < 4 * math.sqrt(law / V) + 1 / V  # four standard deviations
assert owned_fair.min() == 1 and spread[1] < spread[0]
assert np.sum(owned_null == 0) > 0 and changed > 0.5
assert of_the_text > 0.7 and abs(of_the_growth - 1000 / (V - 1)) < 0.003
""",
    "06": """
assert accuracy > 0.9 and {each.nnz for each in trained} == {len(initial.rows)}
assert all(len(topology.rows) == len(initial.rows) for topology in topologies)
assert 0.29 < min(cut_share) and max(cut_share) <= 0.3
spread = [trained[k].values.std() for k in (0, len(steps) - 1)]
assert spread[0] < 1.2 * drawn_with and spread[1] > 2 * spread[0]
smallest, largest, random = (np.mean([score_without(cut) for cut in ways]) for ways in list(cuts.values())[1:])
assert smallest > accuracy - 0.05 > random > largest
left = [[surviving_fraction(initial, each)[-1] for each in several] for several in evolutions.values()]
assert max(left[1]) < left[0][0] < min(left[2])
assert all(new_ones_pruned(several[0]) > 0.5 for several in evolutions.values())
assert outside <= by_chance.max()
assert (chance.min(axis=0) < averages).all() and (averages < chance.max(axis=0)).all()
""",
    "07": """
from numpy_setlstm.datasets.synthetic import MIX
jumps, gains = np.array([changes_of(clf) for clf in networks["set"]]).transpose(1, 0, 2)
assert abs(jumps.mean()) < -gains.mean() and jumps[0].max() == jumps[0, 5] > -gains[0, 4]
assert 0.5 < counting < 0.65
scores = {kind: [accuracy for name, accuracy in rows if name == kind] for kind in networks}
assert min(scores["set"]) > max(scores["static"])
assert (pruned > null.mean(axis=0))[:, GATES.index("g")].all() and outside_by_gate < pruned.size / 4
for k, clf in enumerate([*networks["set"], nonsense]):
    lost, (least, most) = mean_turnover(clf)
    assert GATES[lost.argmax()] == "g" and (k != 0 or lost.max() > most)
survival = [surviving_fraction(before, each)[-1] for each in (steps, evolution(nonsense, "W_h")[1])]
assert min(survival) > max(chance) and 0.4 < nonsense.score(test_texts, test_labels) < 0.6
gain = dict(zip(names, zip(gains_of_words, group_after, group_high)))
for seed in range(3):
    its_gain, after_, high_ = gain[f"adjectives, seed {seed}"]
    assert after_ > high_ and its_gain > gain["adjectives, shuffled labels"][0] + 0.5
score = again.score(test_texts, test_labels)
assert score > max(*scores["static"], control.score(test_texts, test_labels)) + 0.05
answers = [read(REVIEW.format(*pair))[2] for pair in (("awful", "charming"), ("charming", "awful"))]
assert answers[0][-1] > 0.5 > answers[1][-1] and answers[1][8] > 0.5 and answers[0][7] > 0.5
assert (votes[units] < 0).all() and np.median(states["f"]) > 0.5
assert {"but", "awful"} < {word.split(" ")[0] for word in most_changed}
assert "far from" in test_texts[wrong[0]] and evolved.predict([SENTENCE])[0] == 0
by_kind = {kind: evolved.score(*make_reviews(1000, np.random.default_rng(2), mix={kind: 1})) for kind in MIX}
assert min(by_kind, key=by_kind.get) == "negation"
""",
    "08": """
assert accuracies.min() > 0.95 and matched == 0 and in_order > 0.9
assert abs(after.mean() - baselines["independent random"]) < 0.02 and abs(after.mean() - before.mean()) < 0.02
assert found[1] == known[1] == 0 and found[0.5] < 0.8 < found[0] and abs(found[0.1] - found[0]) < 0.01
assert found[0.1] < known[0.1] and known[0.2] < found[0.2] < found[0] - 0.01
assert nulls["kept"] < trained.min() and trained.max() < nulls["redrawn"]
""",
    "10": """
bits, shares = np.transpose([watched[epoch] for epoch in (0, 1, 2, 5)])
assert bits[0] > 5 and (np.diff(bits) < 0).all() and bits[1] < count_bits[2]
assert entropy < bits[-1] < count_bits[4] and (np.diff(count_bits) < 0).all()
assert shares[0] < 0.1 and (np.diff(shares) > 0).all() and abs(shares[-1] - count_spelled[4]) < 0.05
in_letters, in_sentences = found["letters"], found["second_sentence"]
assert in_letters[0].max() > in_letters[1].max() > 5 * in_letters[2].max()
assert in_letters[0].max() - in_letters[1].max() < 0.1
assert 0.5 > in_sentences[0].max() > 1.5 * max(in_sentences[1].max(), in_sentences[2].max())
evolved, static, dense = (np.array(each) for each in results.values())
assert np.abs(evolved - static).max() < 0.03 and dense.min() > 1.5 * max(evolved.max(), static.max())
""",
}
