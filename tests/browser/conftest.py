"""The built book in a real browser: what each page did is recorded once, and many tests look at it.

The browser is the machine's own Chromium; nothing is downloaded. Without one the tests here are
skipped, and say so with the command that installs it, unless ADAM_TUTORIAL_NEED_BROWSER is set.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from visit import SITE, chromium, pages, serve, visit  # noqa: E402


def pytest_generate_tests(metafunc):
    if "seen" in metafunc.fixturenames:
        metafunc.parametrize("seen", pages() or ["no page"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def site():
    """The address of a server that shows the built book."""
    if not (SITE / "index.html").exists():
        pytest.fail("There is no book in _build/html to look at: run `make book` first.")
    with serve() as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    executable = chromium()
    if executable is None:
        missing = (
            "no Chromium on this machine, so no page was looked at: sudo apt-get install -y "
            "chromium (on macOS: brew install --cask chromium)"
        )
        if os.environ.get("ADAM_TUTORIAL_NEED_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def seen(request, browser, site):
    """What one page did: requests, messages, faults, sizes."""
    return visit(browser, site, request.param)
