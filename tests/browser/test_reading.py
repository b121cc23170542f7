"""What a reader does with the book: search, unfold, follow a link, print, open it from a folder."""

import pytest
from visit import SETTLED, SITE


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


def test_search_finds_a_word_of_a_chapter(page, site):
    page.goto(f"{site}search.html?q=kurtosis")
    page.wait_for_selector("#search-results li a")
    assert "Moments" in page.inner_text("#search-results")


def test_a_solution_opens_from_the_keyboard(page, site):
    page.goto(f"{site}chapters/moments.html")
    solution = page.locator(".solution").first
    answer = solution.locator("p").last
    assert not answer.is_visible()
    solution.locator("button.toggle-button").focus()
    page.keyboard.press("Enter")
    assert answer.is_visible()


def test_a_link_from_the_ledger_unfolds_the_solution_it_leads_into(page, site):
    page.goto(f"{site}chapters/moments.html#exercise-one-solved")
    page.wait_for_function("() => document.getElementById('exercise-one-solved').offsetHeight > 0")


def test_the_reader_can_choose_the_dark(page, site):
    page.goto(f"{site}chapters/adam.html")
    button = page.locator("button.theme-switch-button").first
    button.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.mode") in ("dark", "auto")


def test_it_reads_from_a_folder(page):
    """From file://, formulas and figures included, and nothing asked of the network."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((SITE / "chapters/moments.html").as_uri())
    page.wait_for_function(SETTLED)
    assert page.locator(".katex").count() > 100
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_printed_chapter_has_its_figures_and_its_solutions(page, site):
    page.goto(f"{site}chapters/adam.html")
    page.wait_for_function(SETTLED)
    page.emulate_media(media="print")
    assert page.pdf().count(b"/Subtype /Image") >= page.locator(".bd-article img").count() > 0
    for solution in page.locator(".solution p").all():
        assert solution.is_visible()
