"""Attacks on the language model: bad files, odd requests and Ctrl-C, each answered in one clear line."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, cli
from numpy_setlstm.checkpoint import load_arrays
from numpy_setlstm.language.estimator import SetLSTMLanguageModel
from numpy_setlstm.language.sampling import probabilities

TEXT = "the cat sat on the mat, and the dog sat on the cat. " * 12
SMALL = {"embedding_dim": 6, "hidden_size": 8, "density": 0.4, "batch_size": 4, "n_steps": 9, "n_epochs": 1}
TRAIN = "--embedding-dim 6 --hidden-size 8 --density 0.4 --batch-size 4 --steps 9 --epochs 2 --length 20".split()
LABELED = [f"a {word} film, {k}" for k in range(20) for word in ("bad", "good")], ["neg", "pos"] * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files to attack with: texts, models, and what is neither."""
    folder = tmp_path_factory.mktemp("attack")
    texts = {"good": TEXT.encode(), "other": TEXT.replace("cat", "fox").encode(), "empty": b"", "blank": b"\n \t\n"}
    texts |= {"one": b"a", "two": b"ab", "short": b"abc def", "bytes": b"caf\xe9 and more", "bom": b"\xef\xbb\xbf"}
    for name, content in texts.items():
        (folder / f"{name}.txt").write_bytes(content)
    (folder / "folder").mkdir()
    (folder / "trained").mkdir()
    SetLSTMLanguageModel(**SMALL, random_state=0).fit(TEXT).save(folder / "trained" / "model.npz")
    SetLSTMLanguageModel(**SMALL, random_state=0).fit(*LABELED).save(folder / "labels.npz")
    sizes = {"hidden_size": 8, "embedding_dim": 8, "parameter_share": 0.5, "n_epochs": 1, "validation_fraction": 0}
    SetLSTMClassifier(**sizes).fit(*LABELED).save(folder / "classifier.npz")
    content = (folder / "trained" / "model.npz").read_bytes()
    (folder / "cut.npz").write_bytes(content[: len(content) // 2])
    (folder / "altered.npz").write_bytes(content.replace(b"character", b"charakter"))
    return folder


def files_in(folder):
    """All files below a folder, and what is in them."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


BAD_LINES = [
    ("--text empty.txt --output new", "empty.txt is empty; expected some text"),
    ("--text blank.txt --output new", "blank.txt is empty; expected some text"),
    ("--text bom.txt --output new", "bom.txt is empty; expected some text"),
    ("--text one.txt --output new", "the text has one character only, 'a': there is nothing to predict; give other"),
    ("--text two.txt --output new", "the text has 2 characters, too few to hold out 0.1 for validation: give more"),
    ("--text short.txt --output new --validation-fraction 0", "needs 37: give more text, or lower batch_size or n_"),
    ("--text short.txt --output new --unit word --validation-fraction 0", "has 2 words; a minibatch of batch_size=4"),
    ("--text bytes.txt --output new", "bytes.txt is not UTF-8: byte 3 is 0xe9; convert it"),
    ("--text folder --output new", "folder is a folder; expected a file of text"),
    ("--text /dev/zero --output new", "/dev/zero is a device; expected a file of text"),
    ("--text none.txt --output new", "there is no file none.txt"),
    ("--text good.txt/none --output new", "there is no file good.txt/none"),
    ("--text good.txt --output good.txt", "good.txt is a file; expected a folder to write into: choose another name"),
    ("--text good.txt --output trained", "model.npz exists: continue with --resume, or choose another --output"),
    ("--text good.txt --output none --resume", "there is no model file none"),
    ("--text other.txt --output trained --resume --epochs 3", "text or labels differ from those training began with"),
    ("--text good.txt --output trained --resume --hidden-size 9", "hidden_size was 8 when training began and is 9"),
    ("--text good.txt --output new --temperature 0", "temperature is 0.0; expected a number above 0, such as 0.8"),
    ("--text good.txt --output new --length 0", "length is 0; expected a whole number from 1"),
    ("--text good.txt --output new --prompt Ünknown", "the prompt has the character 'Ü', which the model never read"),
    ("--text good.txt --output new --label pos", "label is 'pos', but the model was trained without labels: leave it"),
    ("--text good.txt --output new --validation-fraction 1", "validation_fraction is 1.0; expected"),
    ("--model trained/model.npz --temperature 0", "temperature is 0.0; expected a number above 0, such as 0.8"),
    ("--model trained/model.npz --temperature -0.5", "temperature is -0.5; expected a number above 0"),
    ("--model trained/model.npz --temperature nan", "argument --temperature: 'nan' is not a finite number"),
    ("--model trained/model.npz --temperature inf", "argument --temperature: 'inf' is not a finite number"),
    ("--model trained/model.npz --length 0", "length is 0; expected a whole number from 1"),
    ("--model trained/model.npz --length -3", "length is -3; expected a whole number from 1"),
    ("--model trained/model.npz --length 1.5", "argument --length: '1.5' is not a whole number"),
    ("--model trained/model.npz --prompt Ünknown", "the prompt has the character 'Ü', which the model never read; it"),
    ("--model trained/model.npz --label pos", "label is 'pos', but the model was trained without labels: leave it out"),
    ("--model labels.npz --label good", "label is 'good'; expected one of ['neg', 'pos']"),
    ("--model labels.npz", "label is missing; expected one of ['neg', 'pos']"),
    ("--model classifier.npz", "classifier.npz is a classifier: load it with SetLSTMClassifier.load"),
    ("--model cut.npz", "cut.npz is no complete .npz archive, it may be cut short or altered"),
    ("--model altered.npz", "altered.npz is no complete .npz archive, it may be cut short or altered"),
    ("--model good.txt", "good.txt is not an .npz archive"),
    ("--model folder", "folder is a folder; expected a file, such as model.npz in it"),
    ("--model none.npz", "there is no model file none.npz"),
    ("--model trained/model.npz --output new", "--model only writes: leave out --output"),
    ("--model trained/model.npz --limit 9", "--model only writes: leave out --output, --resume and what belongs to"),
    ("--text good.txt --output new --limit 0", "--limit is 0; expected a whole number of at least 1"),
    ("--text good.txt --output new --limit 20", "the text to learn from has 18 characters; a minibatch of batch_size"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES, ids=[line for line, _ in BAD_LINES])
def test_a_bad_line_is_answered_in_one_and_leaves_no_file(line, message, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = files_in(folder)
    train = TRAIN if "--text" in line else []
    try:
        code = cli.main(["write", *train, *line.split()])
    except SystemExit as exit_of_parser:
        code = exit_of_parser.code
    error = capsys.readouterr().err
    assert code == 2 and message in error and error.count("\n") == 1 and "bug" not in error
    assert files_in(folder) == before, "no file was written, none changed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": np.inf}, "temperature is inf; expected a number above 0"),
        ({"temperature": "hot"}, "temperature is 'hot'; expected a number above 0"),
        ({"temperature": None}, "temperature is None"),
        ({"length": 2.5}, "length is 2.5; expected a whole number"),
        ({"length": True}, "length is True; expected a whole number"),
        ({"prompt": b"a"}, "prompt is b'a', of type bytes; expected str"),
        ({"prompt": None}, "prompt is None, of type NoneType; expected str"),
        ({"rng": np.random}, "rng is <module"),
        ({"label": np.array(["pos", "neg"])}, "label is ndarray of shape"),
        ({"label": ["pos"]}, r"label is \['pos'\]; expected one of \['neg', 'pos'\]"),
        ({"label": float("nan")}, "label is nan; expected one of"),
    ],
)
def test_an_odd_request_in_python_is_answered_in_one_line(arguments, message, folder):
    model = SetLSTMLanguageModel.load(folder / "labels.npz")
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        model.sample(**{"label": "pos"} | arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (["a film", ""], "pos", "text 1 is empty: leave it out"),
        ([], "pos", "text is an empty list"),
        (["a film", 3], "pos", "text 1 is 3, of type int; expected str"),
        ({"a film"}, "pos", "text is a set, which has no order"),
        (b"a film", "pos", "text is bytes; expected str: decode them first"),
        (["a film", "a"], ["pos"], "there are 1 labels for 2 texts; expected as many, or one for all"),
        (["a film", "a"], ["pos", "so-so"], r"label is 'so-so'; expected one of \['neg', 'pos'\]"),
        (["a film", "a"], None, r"label is missing; expected one of \['neg', 'pos'\]"),
        ("a film", ["pos"], r"label is \['pos'\]; expected one of"),
    ],
)
@pytest.mark.parametrize("measure", ["log_prob", "perplexity", "bits_per_character", "score"])
def test_texts_that_cannot_be_judged_are_named_in_one_line(text, label, message, measure, folder):
    model = SetLSTMLanguageModel.load(folder / "labels.npz")
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        getattr(model, measure)(text, label)
    assert "\n" not in str(caught.value)


def test_a_text_too_short_to_judge_is_named(folder):
    model = SetLSTMLanguageModel.load(folder / "trained" / "model.npz")
    with pytest.raises(ValueError, match="text 't' has 1 character; expected at least 2"):
        model.log_prob("t")
    with pytest.raises(ValueError, match="text 1 has 1 character; expected at least 2"):
        model.perplexity(["the", "t"])


@pytest.mark.parametrize("text", ["a\x00b", "\ud800 is half a character", "a\u2028\u2029\x85", "e\u0301 é 🙂"])
def test_any_characters_are_learnt_saved_and_written(text, tmp_path):
    SetLSTMLanguageModel(**SMALL, random_state=0).fit(text * 30).save(tmp_path / "model.npz")
    model = SetLSTMLanguageModel.load(tmp_path / "model.npz")
    assert model.vocabulary_.words[2:] and set(model.sample(text, 50, rng=np.random.default_rng(0))) <= set(text)


def test_tiny_and_huge_temperatures_are_the_likeliest_and_any(folder, recwarn):
    logits = np.array([9.0, 9.0, 1.0, 2.0, 0.5])
    assert probabilities(logits, 5e-324).tolist() == [0, 0, 0, 1, 0]
    np.testing.assert_allclose(probabilities(logits, 1.7e308), [0, 0, 1 / 3, 1 / 3, 1 / 3])
    assert not recwarn.list


def test_a_label_that_is_a_number_is_found_by_its_digits(folder, tmp_path, capsys):
    texts, labels = LABELED
    SetLSTMLanguageModel(**SMALL, random_state=0).fit(texts, [1, 5] * 20).save(tmp_path / "stars.npz")
    assert cli.main(["write", "--model", str(tmp_path / "stars.npz"), "--label", "5"]) == 0
    assert cli.main(["write", "--model", str(tmp_path / "stars.npz"), "--label", "five"]) == 2
    assert "label is 'five'; expected one of [1, 5]" in capsys.readouterr().err


def test_what_is_shown_before_training_is_the_first_network_and_changes_nothing():
    seen = []

    def look(model):
        seen.append((model.history_["train_loss"], model.training_state_.epoch, model.sample("the", 5)))

    looked = SetLSTMLanguageModel(**SMALL, random_state=0).fit(TEXT, before_training=look)
    plain = SetLSTMLanguageModel(**SMALL, random_state=0).fit(TEXT)
    assert len(seen) == 1 and seen[0][1] == 0 and seen[0][2].startswith("the")
    assert looked.history_["train_loss"] == plain.history_["train_loss"] and looked.sample() == plain.sample()


# Ctrl-C, in processes of their own


def start(*arguments):
    """``numpy-setlstm write`` in a process of its own."""
    command = [sys.executable, "-m", "numpy_setlstm", "write", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, **pipes)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_once_or_twice_and_resume_is_training_in_one_go(presses, folder, tmp_path):
    train = ["--text", folder / "good.txt", *TRAIN, "--steps", 3, "--epochs", 12, "--hidden-size", 64]
    process = start(*train, "--output", tmp_path / "stopped")
    try:
        for line in process.stdout:  # in the middle of the third epoch, which has 47 minibatches
            if line.startswith("epoch 2"):
                break
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "interrupted" in error and "Traceback" not in error
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["model.npz"]
    stopped, _ = load_arrays(tmp_path / "stopped" / "model.npz")
    assert 2 <= stopped["epoch"] < 12, "the process was interrupted between its second epoch and its end"
    assert cli.main(["write", *map(str, train), "--output", str(tmp_path / "stopped"), "--resume"]) == 0
    assert cli.main(["write", *map(str, train), "--output", str(tmp_path / "whole")]) == 0
    (header, arrays), (expected, others) = (load_arrays(tmp_path / name / "model.npz") for name in ("stopped", "whole"))
    assert {key for key in expected if header[key] != expected[key]} <= {"digest", "history", "sums"}
    times = {"seconds"}  # all else is the same
    for key in header["history"].keys() - times:
        assert header["history"][key] == expected["history"][key], key
    assert arrays.keys() == others.keys()
    for name, array in others.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
