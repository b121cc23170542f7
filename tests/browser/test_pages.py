"""Every page of the book, as its reader's browser sees it."""

import pytest

KILOBYTE = 1000


def test_it_asks_nobody_else(seen):
    assert seen.foreign == []


def test_it_finds_everything_it_asks_for(seen):
    assert seen.failed == []


def test_the_console_is_silent(seen):
    assert seen.messages == []


@pytest.mark.parametrize("mode", ["light", "dark", "phone"])
def test_nothing_stands_in_the_way(seen, mode):
    """axe finds nothing above "minor", in our own markup or in the theme's."""
    assert [f for f in seen.faults if f["mode"] == mode and f["impact"] != "minor"] == []


def test_a_phone_needs_no_sideways_scrolling(seen):
    assert seen.phone["out"] == []
    assert seen.phone["page"] <= 390


@pytest.mark.parametrize("mode", ["light", "dark", "print"])
def test_figures_are_drawn_and_described(seen, mode):
    for figure in seen.figures[mode]:
        assert figure["drawn"] and figure["shown"] > 100
        assert len(figure["alt"]) >= 40


def test_figures_are_readable_in_the_dark(seen):
    for figure in seen.figures["dark"]:
        assert figure["filter"] == "none"
        assert figure["background"] == "rgb(255, 255, 255)"


def test_print_loses_no_solution(seen):
    for solution in seen.solutions["print"]:
        assert solution["shown"] == solution["all"] > 0


def test_every_formula_is_set(seen):
    assert seen.unset == []


def test_every_icon_has_a_picture(seen):
    assert seen.icons == []


def test_it_is_light(seen):
    """The page alone, and with all that a first visit fetches and the browser then keeps."""
    assert seen.html <= 50 * KILOBYTE
    assert seen.total <= 300 * KILOBYTE
