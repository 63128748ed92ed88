"""The page that reads a sentence: train its networks, write the page, take README's picture of it.

Three networks of 24 units learn to tell praise from complaint in reviews from a small grammar: one evolved by SET, one
with the same first connections that never change, one dense. Their weights after every epoch, rounded to two
decimals, are in docs/read.html, which needs nothing else: it opens from disk. From the top of the repository::

    python docs/draw_page.py            # trains, and writes the page; some minutes of one core
    python docs/draw_page.py --page     # writes the page anew around its networks, after a change of its code
    python docs/draw_page.py --picture  # takes docs/images/reading.png, with Chromium and the extra "browser"
    python docs/draw_page.py --speed    # measures the page, with the same
"""

import argparse
import base64
import contextlib
import gzip
import json
import re
import shutil
from pathlib import Path

import numpy as np

from numpy_setlstm import SetLSTMClassifier, SparseMatrix, pad_sequences
from numpy_setlstm.datasets import make_reviews
from numpy_setlstm.datasets.synthetic import WHO
from numpy_setlstm.export import fit_recorded, to_json
from numpy_setlstm.files import replacing
from numpy_setlstm.plotting import reading_page

HERE = Path(__file__).parent
PAGE, FRAME, PICTURE = HERE / "read.html", HERE / "read_frame.html", HERE / "images" / "reading.png"
KINDS = {"evolved": "set", "static": "static", "dense": "dense"}
SETTINGS = {
    "embedding_dim": 16, "hidden_size": 24, "parameter_share": 0.15, "n_epochs": 12, "batch_size": 32, "zeta": 0.3,
    "evolve_until": 9, "learning_rate": 0.01, "embedding_learning_rate": 0.01, "dropout": 0.0, "embedding_dropout": 0.0,
    "max_length": 60, "validation_fraction": 0, "random_state": 0, "n_jobs": 1,
}  # fmt: skip
N_TRAIN, N_TEST, DECIMALS = 24_000, 2_000, 2
LABELS = np.array(["negative", "positive"])
SENTENCES = (
    "The soup was not lovely.",
    "The soup was awful, but the waiter was charming.",
    "The popcorn was not awful at all.",
    "Nobody could call the sequel splendid.",
    "Although the plot was dull, the ending was superb.",
    "The ending was superb, although the plot was dull.",
    "My aunt swore that the soup was awful. She was wrong.",
    "My aunt swore that the soup was awful. A polite burglar ate a sandwich on the stairs. She was wrong.",
    "The puppet show was far from brilliant.",
    "The dragon was hardly boring.",
    "The plot was not dull, but the ending was dreadful.",
)  # fmt: skip
FIRST_WORDS = tuple(who[0].upper() + who[1:] for who in WHO)
README_SENTENCE, README_WORD = SENTENCES[0], "not"
LESS = """<style>
  .note, #summary, #memories, .labels > span { display: none !important; }
  #lines { height: 163px !important; overflow: hidden; }
  #picture { padding: 14px 14px 8px; }
  #picture h2 { margin-top: 10px; }
</style>"""  # on README's picture
# In the browser: milliseconds from each of 20 keys to the painted picture; pictures a second while the slider moves
STOPWATCH = """async () => {
  const { show } = document.querySelector("setlstm-reader").reader, text = show.text.value, typed = [];
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))));
  for (let k = 0; k < 20; k++) {
    show.text.value = text.slice(0, text.length - (k % 2));
    const start = performance.now();
    show.text.dispatchEvent(new Event("input"));
    typed.push((await painted()) - start);
  }
  const start = performance.now(), n = 60;
  for (let k = 0; k < n; k++) {
    show.epoch.value = k % (Number(show.epoch.max) + 1);
    show.epoch.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
  }
  return [typed, (1000 * n) / (performance.now() - start)];
}"""


def without_fillers(text):
    """A review without the sentences that have no opinion."""
    sentences = re.split(r"(?<=\.) ", text)
    return " ".join(sentence for sentence in sentences if not sentence.startswith(FIRST_WORDS))


def texts_to_learn_from(n, rng):
    """Reviews: a quarter as they are, a quarter without fillers, and half of them breaking off somewhere.

    The label is always that of the whole review: so the network learns to say, of a text that has begun, how it will
    end, and its opinion after each word means something.
    """
    texts, labels = make_reviews(n, rng)
    for k in range(n):
        if k % 4 > 0:
            texts[k] = without_fillers(texts[k])
        if k % 4 > 1:
            words = texts[k].split()
            texts[k] = " ".join(words[: rng.integers(1, len(words) + 1)])
    return texts, LABELS[labels]


def rounded(network):
    """A network with the weights that the page has."""
    parameters = {
        name: W.with_values(np.round(W.values, DECIMALS)) if isinstance(W, SparseMatrix) else np.round(W, DECIMALS)
        for name, W in network.parameters.items()
    }
    return network.with_parameters(parameters)


def train():
    """The document of the three networks, after each epoch."""
    texts, labels = texts_to_learn_from(N_TRAIN, np.random.default_rng(0))
    test_texts, test_labels = make_reviews(N_TEST, np.random.default_rng(1))
    models, epochs, accuracy = {}, {}, {}
    for name, connectivity in KINDS.items():
        clf = models[name] = SetLSTMClassifier(connectivity, **SETTINGS)
        epochs[name] = [rounded(network) for network in fit_recorded(clf, texts, labels)]
        tokens = pad_sequences([clf.vocabulary_.encode(text) for text in test_texts], clf.max_length)
        predicted = [network.predict_proba(tokens).argmax(axis=1) for network in epochs[name]]
        accuracy[name] = [float(np.mean(classes == test_labels)) for classes in predicted]
        print(f"{name}: {clf.n_parameters_:,} parameters, {accuracy[name][-1]:.1%} of {N_TEST:,} other reviews right")
    return to_json(models, epochs=epochs, test_accuracy=accuracy, decimals=DECIMALS)


def networks_of_page():
    """The document that the page was written with."""
    packed = re.search(r'<script type="application/octet-stream">(.*?)</script>', PAGE.read_text(encoding="utf8"))[1]
    return json.dumps(json.loads(gzip.decompress(base64.b64decode(packed))), ensure_ascii=False)


def page_around(document):
    """The page, whole, from the document of to_json."""
    page, model = FRAME.read_text(encoding="utf8"), json.loads(document)
    networks = {network["name"]: network for network in model["networks"]}
    words = sorted(model["words"][2:])
    filled = {name: f"{100 * network['epochs'][-1]['test_accuracy']:.1f} %" for name, network in networks.items()} | {
        "n_train": f"{N_TRAIN:,}",
        "n_words": str(len(words)),
        "words": " ".join(words),
        "ratio": f"{networks['dense']['n_parameters'] / networks['evolved']['n_parameters']:.1f}",
        "icon": base64.b64encode((HERE / "_static" / "favicon.svg").read_bytes()).decode(),
        "the reader": reading_page(document, SENTENCES).fragment,
    }
    for name, text in filled.items():
        page = page.replace(f"<!-- {name} -->", text)
    return page


@contextlib.contextmanager
def opened(width, **options):
    """The page in Chromium, as an object of Playwright."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 1000}, **options)
        page.goto(PAGE.as_uri())
        page.wait_for_function("document.querySelector('setlstm-reader').reader")
        yield page
        browser.close()


def draw_picture():
    """README's picture: the page as it reads a sentence, at one word."""
    with opened(940, device_scale_factor=1.5) as page:
        page.locator("#text").fill(README_SENTENCE)
        page.locator("#words label", has_text=re.compile(f"^{README_WORD}$")).hover()
        page.locator("#view").evaluate("(view, css) => view.insertAdjacentHTML('beforeend', css)", LESS)
        page.wait_for_timeout(500)
        page.locator("#picture").screenshot(path=PICTURE)
    print(f"wrote {PICTURE.name}, {PICTURE.stat().st_size:,} bytes")


def measure():
    """Print how long the page takes from a key to the picture, and how many pictures a second the slider draws."""
    with opened(1280) as page:
        for k, name in enumerate(KINDS):
            page.locator("#kinds input").nth(k).check()
            for text in (SENTENCES[0], SENTENCES[7]):
                page.locator("#text").fill(text)
                typed, frames = page.evaluate(STOPWATCH)
                n_words = page.locator("#words label").count()
                print(f"{name}, {n_words} words: {np.median(typed):.0f} ms from a key to the picture, at most "
                      f"{max(typed):.0f} ms; slider {frames:.0f} pictures a second")  # fmt: skip


def main():
    """Do what the command says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", action="store_true", help="write the page anew, without training")
    parser.add_argument("--picture", action="store_true", help="take README's picture")
    parser.add_argument("--speed", action="store_true", help="measure the page in Chromium")
    options = parser.parse_args()
    if options.picture or options.speed:
        return draw_picture() if options.picture else measure()
    page = page_around(networks_of_page() if options.page else train())
    with replacing(PAGE) as file:
        file.write(page.encode())
    print(f"wrote {PAGE.name}, {len(page.encode()):,} bytes")


if __name__ == "__main__":
    main()
