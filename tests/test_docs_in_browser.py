"""The documentation site in a real browser: equations, both colour schemes, a phone's width, nothing from elsewhere."""

import functools
import http.server
import threading

import pytest

DERIVATION, REFERENCE = "derivations/lstm", "api/generated/numpy_setlstm.measures.expected_degrees"
FILM, QUICK_START = "notebooks/06_prune_and_regrow", "notebooks/00_quick_start"
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(browser, address):
    """A function that opens a page, and requires at the end that no script failed and nothing came from elsewhere."""
    contexts, troubles = [], []

    def open_page(name, scheme="light", width=1280):
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}"))
        page.on("response", lambda response: response.ok or troubles.append(f"{response.status}: {response.url}"))
        page.on("request", lambda request: is_from(address, request.url) or troubles.append(f"asks for {request.url}"))
        page.goto(f"{address}{name}")
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles, "\n".join(troubles)


def is_from(address, url):
    return url.startswith((address, "data:", "blob:"))


def pages_to_look_at(site):
    """The start page, those of the reader, a derivation if there is one, a reference with an equation, a notebook."""
    derivation = [DERIVATION] if (site / f"{DERIVATION}.html").exists() else []
    notebook = FILM if (site / f"{FILM}.html").exists() else QUICK_START
    return ["index", "reading", "read", *derivation, REFERENCE, notebook]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_look_right(site, open_page, scheme, width, tmp_path):
    for name in pages_to_look_at(site):
        page = open_page(f"{name}.html", scheme, width)
        page.screenshot(path=tmp_path / f"{name.replace('/', '_')}_{scheme}_{width}.png")
        check_equations(page, name)
        check_colours(page, name, scheme)
        overhang = page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
        assert overhang <= 0, f"{name} is {overhang} pixels wider than the window of {width}"
        broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
        assert not broken, f"{name} shows no picture {broken}"


def check_equations(page, name):
    """Each has become a drawing, and none of them a message of MathJax."""
    counts = {kind: page.locator(kind).count() for kind in (".math", "mjx-container", "mjx-merror, [data-mjx-error]")}
    assert counts["mjx-container"] >= counts[".math"] and not counts["mjx-merror, [data-mjx-error]"], (name, counts)
    if name in (DERIVATION, REFERENCE):
        assert counts[".math"] > 0, f"{name} has no equation"


def check_colours(page, name, scheme):
    """The page is light or dark as the reader's system is, and the text is the opposite."""
    colours = page.evaluate("(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))")
    background, text = (sum(map(int, colour.split("(")[1].rstrip(")").split(",")[:3])) / 3 for colour in colours)
    assert (background < 64 and text > 160) if scheme == "dark" else (background > 224 and text < 96), (name, colours)


def test_the_number_of_an_equation_is_never_over_it_on_a_phone(open_page):
    page = open_page(f"{DERIVATION}.html", width=390)
    page.locator("mjx-container").last.wait_for()
    over = page.evaluate(
        """[...document.querySelectorAll('div.math')].filter(div => {
            const [number, formula] = ['.eqno', 'mjx-container'].map(name => div.querySelector(name));
            return number && number.getBoundingClientRect().bottom > formula.getBoundingClientRect().top + 1;
        }).map(div => div.id)"""
    )
    assert over == []


def test_code_of_a_notebook_needs_no_scrolling_and_players_stay_within_the_page(site, open_page):
    name = FILM if (site / f"{FILM}.html").exists() else QUICK_START
    page = open_page(f"{name}.html")
    cells = "[...document.querySelectorAll('div.cell_input pre')]"
    assert page.evaluate(f"{cells}.filter(cell => cell.scrollWidth > cell.clientWidth + 1).length") == 0
    page = open_page(f"{name}.html", width=390)
    players = "[...document.querySelectorAll('.anim-slider, .animation img')]"
    assert page.evaluate(f"{players}.every(part => part.getBoundingClientRect().right <= window.innerWidth)")


def test_the_search_finds_a_function(open_page):
    page = open_page("search.html?q=lstm_backward")
    results = page.locator("#search-results li a")
    results.first.wait_for()
    assert any("lstm_backward" in text for text in results.all_inner_texts())


def test_the_menu_opens_on_a_phone(open_page):
    page = open_page("index.html", width=390)
    entry = page.locator(".sidebar-tree a", has_text="Reference").first
    assert not entry.is_visible() or entry.bounding_box()["x"] < 0
    page.locator(".header-left label, .nav-overlay-icon").first.click()
    page.wait_for_function("document.querySelector('.sidebar-drawer').getBoundingClientRect().x >= 0")
    entry.click()
    page.wait_for_url("**/api/index.html")


def test_the_animation_plays(site, open_page):
    if not (site / f"{FILM}.html").exists():
        pytest.skip(f"there is no {FILM}")
    page = open_page(f"{FILM}.html")
    slider = page.locator(".animation input[type=range]").first
    slider.scroll_into_view_if_needed()
    page.locator(".animation button[title=Play]").first.click()
    before = slider.input_value()
    page.wait_for_function("([slider, before]) => slider.value !== before", arg=[slider.element_handle(), before])
