"""The page that reads a sentence, in a real browser: its numbers are the package's, and everybody can use it."""

import json

import numpy as np
import pytest
from test_export import LABELS, TEXTS, network_of, tokens_of
from test_reading_page import PAGE, draw_page  # noqa: F401  a fixture

from numpy_setlstm import SetLSTMClassifier, tokenize
from numpy_setlstm.datasets import make_reviews
from numpy_setlstm.export import fit_recorded
from numpy_setlstm.layers.embedding import embedding_forward
from numpy_setlstm.layers.lstm import lstm_forward
from numpy_setlstm.layers.trace import trace_states
from numpy_setlstm.plotting import reading_page

READER = "document.querySelector('setlstm-reader').reader"
READ = f"""([text, kind, epoch]) => {{
  const reader = {READER}, {{ show }} = reader, as_lists = (step) => Object.fromEntries(
    [..."ifogch"].map((name) => [name, [...step[name]]]));
  show.kinds.querySelectorAll("input")[kind].checked = true;
  show.epoch.value = epoch;
  reader.read((show.text.value = text));
  return {{ tokens: reader.tokens, opinions: reader.opinions, steps: reader.steps.map(as_lists) }};
}}"""
OTHER_TEXTS = (
    "",
    "lovely",
    "Lovely!!! 10/10 :-) DON'T, I can't; 3.5 <3 it’s \"good\"",
    "the café was naïve \u00e9t\u00e9 and Straße, not lovely",
    "not " * 70 + "lovely",
    "<b> & 'quotes' aren't it's rock'n'roll",
)


@pytest.fixture
def open_page(browser):
    """A function that opens a page from disk; no script may have failed, and nothing may have been asked for."""
    contexts, troubles = [], []

    def open_page(path=PAGE, scheme="light", width=1280):
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: request.url != path.as_uri() and troubles.append(f"asks for {request.url}"))
        page.goto(path.as_uri())
        page.wait_for_function(READER)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles, "\n".join(troubles)


def opinions_of(network, document, words, wanted=1):
    """The probability of a class before the first of some words and after each."""
    p = network.parameters
    before = np.exp(p["b_out"]) / np.exp(p["b_out"]).sum()
    beginnings = [" ".join(words[: k + 1]) for k in range(len(words))]
    after = network.predict_proba(tokens_of(document, beginnings))[:, wanted] if words else []
    return [before[wanted], *after]


def states_of(network, document, words):
    """Gates, memory and state after each word, as the layers compute them."""
    p, tokens = network.parameters, tokens_of(document, [" ".join(words)])[:, -len(words) :]
    x, _ = embedding_forward(tokens, p["E"])
    return trace_states(*lstm_forward(x, p["W_x"], p["W_h"], p["b"]))


def test_the_numbers_are_those_of_the_package_for_a_hundred_sentences(open_page, draw_page):  # noqa: F811
    document = json.loads(draw_page.networks_of_page())
    texts = [*draw_page.SENTENCES, *OTHER_TEXTS]
    texts += make_reviews(100 - len(texts), np.random.default_rng(3))[0]
    page = open_page()
    for k, text in enumerate(texts):
        kind, epoch = k % 3, (12, 0, 1, 7)[k // 3 % 4]
        found = page.evaluate(READ, [text, kind, epoch])
        words = tokenize(text.replace("<b>", "b"))[-document["max_length"] :]  # the page knows no HTML
        assert found["tokens"] == words, text
        network = network_of(document, document["networks"][kind]["name"], epoch)
        np.testing.assert_allclose(found["opinions"], opinions_of(network, document, words), rtol=0, atol=1e-6)
        if words:
            for name, states in states_of(network, document, words).items():
                in_page = [step[name] for step in found["steps"]]
                np.testing.assert_allclose(in_page, states[0], rtol=0, atol=1e-6, err_msg=f"{name} of {text!r}")


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_a_view_of_any_small_network_agrees_with_its_classifier(open_page, tmp_path, pooling, connectivity):
    sizes = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.5, "n_epochs": 3, "validation_fraction": 0}
    options = {"pooling": pooling, "max_length": 4, "truncating": "post", "dtype": "float64", "random_state": 0}
    clf = SetLSTMClassifier(connectivity, **sizes, **options)
    labels = ["good", "bad", "odd", "bad"] * (len(LABELS) // 4)
    reading_page(clf, epochs=fit_recorded(clf, TEXTS, labels)).save(tmp_path / "page.html")
    page = open_page(tmp_path / "page.html")
    for text in ("a lovely film", "not lovely not dull not a film", "a martian film"):
        page.locator("#text").fill(text)
        found = page.evaluate(f"[...{READER}.steps.at(-1).probabilities]")
        np.testing.assert_allclose(found, clf.predict_proba([text])[0], rtol=0, atol=1e-6)
    assert page.locator("#top").inner_text() == clf.predict(["a martian film"])[0]  # of three, the one it ends with
    assert not page.locator("#sentences").is_visible() and not page.locator("#kinds").is_visible()
    assert page.locator("#epoch").is_visible() and page.locator("#epoch").get_attribute("max") == "3"


def test_a_notebook_may_show_several_views(open_page, tmp_path):
    clf = SetLSTMClassifier(hidden_size=4, embedding_dim=4, parameter_share=0.6, validation_fraction=0, n_epochs=1)
    fragment = reading_page(clf.fit(TEXTS, LABELS), ["a lovely film"]).fragment
    (tmp_path / "two.html").write_text(f"<!doctype html><meta charset=utf-8>{fragment}<p>text</p>{fragment}")
    page = open_page(tmp_path / "two.html")
    page.wait_for_function("[...document.querySelectorAll('setlstm-reader')].every((view) => view.reader)")
    for view in page.locator("setlstm-reader").all():
        assert view.locator("#words label").all_inner_texts() == ["a", "lovely", "film"]
        assert not view.locator("#epoch").is_visible()


def test_what_the_page_says_of_its_sentences_is_so(open_page):
    page = open_page()
    opinions = {}
    for text in page.locator("#sentences option").all_inner_texts()[1:]:
        page.locator("#sentences").select_option(text)
        opinions[text] = [round(100 * share) for share in page.evaluate(f"{READER}.opinions")]
    assert page.evaluate(f"{READER}.tokens.at(-1)") == "dreadful"  # the last one, which it gets wrong
    assert opinions.popitem()[1][-1] > 90
    assert opinions["The soup was not lovely."][4:] == [46, 0]  # as README's picture shows
    awful = opinions["The soup was awful, but the waiter was charming."]
    assert awful[4] < 10 and awful[5] > 90, "the opinion does not turn at “but”"
    ends = {
        "lovely.": 0,
        "charming.": 1,
        "all.": 1,
        "splendid.": 0,
        "superb.": 1,
        "dull.": 1,
        "wrong.": 1,
        "brilliant.": 0,
    }
    for text, (*_, last) in opinions.items():
        assert (last > 50) == ends.get(text.split()[-1], 1), f"{text} ends with {last} %"


def test_unknown_words_are_named(open_page):
    page = open_page()
    page.locator("#text").fill("The zeppelin was not good")
    assert page.locator("#unknown").inner_text().startswith("The network does not know zeppelin, good,")
    assert page.locator("#words .known-false").all_inner_texts() == ["zeppelin", "good"]
    page.locator("#text").fill("The soup was lovely")
    assert page.locator("#unknown").inner_text() == ""
    page.locator("#text").fill("...")
    assert page.locator("#unknown").inner_text() == "Type a few words." and not page.locator("#picture").is_visible()


def test_all_can_be_done_with_the_keyboard(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("the soup was not lovely")
    for focus, key, changed in (
        ("#sentences", "ArrowDown", "show.text.value"),
        ("#kinds input:checked", "ArrowRight", "network.name"),
        ("#epoch", "ArrowLeft", "epoch.epoch"),
        ("#words input:checked", "ArrowRight", "at"),
        ("#units input:checked", "ArrowRight", "unit"),
    ):
        page.keyboard.press("Tab")
        assert page.evaluate(f"{READER}.show.view.getRootNode().activeElement.matches('{focus}')"), f"no focus: {focus}"
        before = page.evaluate(f"{READER}.{changed}")
        page.keyboard.press(key)
        assert page.evaluate(f"{READER}.{changed}") != before, f"{key} at {focus} changes nothing"
    assert page.locator("#panels .own").count() > 0  # the connections of the unit that has the focus


def test_pointing_at_a_unit_shows_its_connections_and_its_words(open_page):
    page = open_page()
    page.locator("#units label").nth(6).hover()
    assert page.locator("#card h3").inner_text() == "Unit 7" and page.locator("#card li").count() == 8
    own = "".join(path.get_attribute("d") for path in page.locator("#panels .own").all())
    p = page.evaluate(f"(({{ W_x, W_h }}) => [W_x, W_h].map((W) => [[...W.rows], [...W.cols]]))({READER}.p)")
    (_, into_x), (rows, into_h) = p
    expected = sum(col % 24 == 6 for col in into_x) + sum(
        row == 6 or col % 24 == 6 for row, col in zip(rows, into_h, strict=True)
    )
    assert own.count("M") == expected
    page.mouse.move(0, 0)
    assert page.locator("#panels .own").count() == 0


def test_the_slider_shows_what_the_set_step_changed(open_page):
    page = open_page()
    page.locator("#epoch").fill("5")
    step = page.evaluate(f"{READER}.network.set_steps.find((step) => step.epoch === 4).matrices")
    for kind in ("grown", "pruned"):
        drawn = "".join(path.get_attribute("d") for path in page.locator(f"#panels .{kind}").all())
        assert drawn.count("M") == len(step["W_x"][kind]) + len(step["W_h"][kind])
    n_changed = sum(len(changes["grown"]) for changes in step.values())
    assert f"SET pruned {n_changed} connections and grew as many" in page.locator("#facts").inner_text()
    page.locator("#words label").first.hover()
    assert page.locator("#panels .grown").count() == 0 and page.locator("#panels .raise").count() > 0


def test_a_screen_reader_hears_what_is_shown(open_page):
    page = open_page()
    page.locator("#text").fill("The soup was not lovely")
    summary = page.locator("#summary[aria-live=polite]")
    page.wait_for_function(f"{READER}.show.summary.textContent.replace(/\\s+/g, ' ').includes('“not”, word 4 of 5')")
    assert "evolved network, after epoch 12, says “positive” with 46" in summary.inner_text()
    names = page.evaluate(
        f"[...{READER}.show.view.querySelectorAll('input, select, button')].map((one) => one.labels?.[0]?.innerText)"
    )
    assert all(names) and page.locator("#words").get_attribute("aria-label") == "Words"
    assert page.locator("svg:not([aria-hidden])").count() == page.locator("svg svg").count()


@pytest.mark.parametrize("width", [390, 800, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_and_has_contrast(open_page, scheme, width, tmp_path):
    page = open_page(scheme=scheme, width=width)
    page.screenshot(path=tmp_path / f"read_{scheme}_{width}.png", full_page=True)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    pairs = page.evaluate(f"""[...{READER}.show.view.querySelectorAll("p, h2, h3, legend, label, small, figcaption")]
      .filter((one) => one.offsetWidth && !one.closest("#units")).map((one) => [getComputedStyle(one).color,
        one.closest("#card") ? getComputedStyle({READER}.show.card).backgroundColor :
        one.querySelector(":checked") && one.closest("#words") ? getComputedStyle(one).backgroundColor :
        getComputedStyle(document.querySelector("setlstm-reader")).backgroundColor, one.innerText])""")
    for ink, paper, text in pairs:
        assert contrast(ink, paper) >= 4.5, f"{text!r} is {ink} on {paper}"


def contrast(*colours):
    """The ratio of contrast of two colours of CSS, as WCAG 2 defines it."""
    lights = []
    for colour in colours:
        shares = [float(number) / 255 for number in colour.split("(")[1].rstrip(")").split(",")[:3]]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        lights.append(np.dot(linear, (0.2126, 0.7152, 0.0722)) + 0.05)
    return max(lights) / min(lights)


def test_the_chosen_word_of_a_long_text_is_in_view(open_page):
    page = open_page(width=390)
    page.locator("#text").fill("My aunt swore that the soup was awful. A polite burglar ate a sandwich. She was wrong.")
    for place in ("first", "last"):
        page.evaluate(
            f"{READER}.choose({{ at: {READER}.tokens.length * {int(place == 'last')} - {int(place == 'last')} }})"
        )
        word, frame = (page.locator(name) for name in ("#words label:has(:checked)", "#scroll"))
        box, window = word.bounding_box(), frame.bounding_box()
        assert window["x"] <= box["x"] and box["x"] + box["width"] <= window["x"] + window["width"], place
