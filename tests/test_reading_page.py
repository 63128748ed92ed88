"""The page that reads a sentence, without a browser: whole, small, up to date; and what it cannot draw is refused."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from test_export import SETTINGS, TEXTS, fitted

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.export import fit_recorded, to_json
from numpy_setlstm.plotting import reading_page

ROOT = Path(__file__).parent.parent
PAGE, SCRIPT = ROOT / "docs" / "read.html", ROOT / "numpy_setlstm" / "plotting" / "reader" / "reader.js"


@pytest.fixture(scope="module")
def draw_page():
    """The module docs/draw_page.py."""
    spec = importlib.util.spec_from_file_location("draw_page", ROOT / "docs" / "draw_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_its_parts_say_today(draw_page):
    page = draw_page.page_around(draw_page.networks_of_page())
    again = "is out of date: run python docs/draw_page.py --page"
    assert page == PAGE.read_text(encoding="utf8"), f"docs/read.html {again}"


def test_the_page_is_small_and_loads_nothing():
    page = PAGE.read_text(encoding="utf8")
    assert len(page.encode()) <= 500_000
    assert not re.search(r"""(src|href)=(?!"data:)|https?://|@import|url\(|fetch\(|XMLHttpRequest""", page)
    assert "<!-- " not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), (
        "a gap of docs/read_frame.html was not filled"
    )


def test_the_first_picture_of_readme_is_the_page_and_small(draw_page):
    (first, *_) = re.findall(r"!\[[^]]*\]\(([^)]*)\)", (ROOT / "README.md").read_text(encoding="utf8"))
    assert ROOT / first == draw_page.PICTURE and draw_page.PICTURE.stat().st_size <= 1_000_000


def test_the_script_is_short():
    lines = SCRIPT.read_text(encoding="utf8").splitlines()
    assert len(lines) <= 300 and max(map(len, lines)) <= 120


def test_what_the_page_claims_of_its_networks_is_so(draw_page):
    networks = {network["name"]: network for network in json.loads(draw_page.networks_of_page())["networks"]}
    accuracy = {name: network["epochs"][-1]["test_accuracy"] for name, network in networks.items()}
    assert accuracy["evolved"] > 0.99 and accuracy["dense"] > 0.99 and accuracy["static"] < accuracy["evolved"]
    description = (ROOT / "docs" / "reading.md").read_text(encoding="utf8")
    for name, network in networks.items():
        row = f"| {name} | {network['n_parameters']:,} | {100 * accuracy[name]:.1f} % |"
        assert row in description, f"the table of docs/reading.md does not have {row}"
    first = [networks[name]["epochs"][0]["parameters"] for name in ("evolved", "static")]
    assert first[0] == first[1], "the evolved and the static network do not begin alike"
    assert [step["epoch"] for step in networks["evolved"]["set_steps"]] == list(range(1, 10))
    assert all(len(network["epochs"]) == 13 for network in networks.values())


def test_the_command_trains_networks_like_those_of_the_page(draw_page, monkeypatch, capsys):
    """With few texts, as the whole of it takes minutes; on another machine rounding gives other weights in the end."""
    for name, value in {"N_TRAIN": 80, "N_TEST": 20, "SETTINGS": draw_page.SETTINGS | {"n_epochs": 2}}.items():
        monkeypatch.setattr(draw_page, name, value)
    made, on_page = (json.loads(text)["networks"] for text in (draw_page.train(), draw_page.networks_of_page()))
    for network, shown in zip(made, on_page, strict=True):
        assert network.keys() <= shown.keys() and network["epochs"][-1].keys() <= shown["epochs"][-1].keys()
        assert (network["name"], network["connectivity"]) == (shown["name"], shown["connectivity"])
        assert len(network["epochs"]) == 3, "before training, and after each epoch"


def test_texts_to_learn_from_are_reviews_and_beginnings_of_reviews(draw_page):
    import numpy as np

    from numpy_setlstm.datasets import make_reviews

    whole, labels = make_reviews(40, np.random.default_rng(5))
    texts, names = draw_page.texts_to_learn_from(40, np.random.default_rng(5))
    assert names.tolist() == [("negative", "positive")[label] for label in labels]
    for k, (text, review) in enumerate(zip(texts, whole, strict=True)):
        short = draw_page.without_fillers(review)
        assert (text == review, text == short, short.startswith(text))[min(k % 4, 2)], (k, text, review)
        assert 0 < len(short) < len(review)


def test_a_view_for_a_notebook_can_be_saved_too(tmp_path):
    clf = SetLSTMClassifier(**SETTINGS)
    page = reading_page(clf, ["a <dull> film"], epochs=fit_recorded(clf, TEXTS, [1, 0] * 24))
    assert page._repr_html_() == page.fragment and "&lt;dull&gt;" in page.fragment and len(repr(page)) < 100
    page.save(tmp_path / "page.html", title="A & B")
    text = (tmp_path / "page.html").read_text(encoding="utf8")
    assert page.fragment in text and "<title>A &amp; B</title>" in text


def test_views_refuse_what_they_cannot_draw(monkeypatch):
    clf = fitted()
    for models, sentences, message in (
        (fitted(bidirectional=True), (), "bidirectional; expected a network that reads word by word"),
        (fitted(hidden_size=65), (), "65 units; expected at most 64"),
        (clf, "a film", "expected a list of str"),
        (clf, [1], "sentences have 1; expected str"),
    ):
        with pytest.raises((ValueError, TypeError), match=message) as caught:
            reading_page(models, sentences)
        assert "\n" not in str(caught.value)
    words = json.loads(to_json(clf))
    with pytest.raises(ValueError, match="know 5,008 words; expected at most 5,000"):
        reading_page(json.dumps(words | {"words": [*words["words"], *map(str, range(5_000))]}))
    monkeypatch.setattr("numpy_setlstm.plotting.reading.MAX_PAGE_BYTES", 100)
    with pytest.raises(ValueError, match="expected at most 100: give fewer epochs"):
        reading_page(clf)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "something else"}'])
def test_a_text_that_to_json_did_not_write_is_refused(text):
    with pytest.raises(ValueError, match="expected a fitted SetLSTMClassifier, or what to_json returned"):
        reading_page(text)
