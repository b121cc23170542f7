"""The built book in a real browser: what each page did is recorded once, and many tests look at it.

The browser is the machine's own Chromium; nothing is downloaded. Without one the tests here are
skipped, and say so with the command that installs it, unless ADAM_TUTORIAL_NEED_BROWSER is set.
"""

import functools
import http.server
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
sys.path.insert(0, str(Path(__file__).resolve().parent))

from visit import SITE, visit  # noqa: E402


def found() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def built() -> bool:
    return (SITE / "index.html").exists()


def pages() -> list[str]:
    """Every page of the site: ours, the search, and the source code of the package."""
    names = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    return [name for name in names if not name.startswith(("_static/", "vendor/"))]


def pytest_generate_tests(metafunc):
    if "seen" in metafunc.fixturenames:
        metafunc.parametrize("seen", pages() or ["no page"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def site():
    """The address of a server that shows the built book."""
    if not built():
        pytest.fail("There is no book in _build/html to look at: run `make book` first.")
    quiet = functools.partial(Handler, directory=os.fspath(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *details):
        """Say nothing."""


@pytest.fixture(scope="session")
def browser():
    executable = found()
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
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def seen(request, browser, site):
    """What one page did: requests, messages, faults, sizes."""
    return visit(browser, site, request.param)
