"""One visit to one page: wide and light, then dark, then 390 px wide, then as print."""

import functools
import gzip
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SITE = Path(__file__).resolve().parents[2] / "_build/html"
AXE = Path(__file__).with_name("vendor") / "axe.min.js"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

SETTLED = """() => !document.querySelector('script[src*="katex"]')
  || document.documentElement.dataset.formulas === 'set'"""
GO_DARK = "() => { document.documentElement.dataset.theme = 'dark'; document.documentElement.dataset.mode = 'dark' }"
RUN_AXE = """async (rules) => {
  const chosen = rules.length ? {runOnly: {type: 'rule', values: rules}} : {};
  const found = await axe.run(document, {...chosen, resultTypes: ['violations']});
  return found.violations.flatMap(fault => fault.nodes.map(node => ({
    rule: fault.id, impact: node.impact, where: node.target.join(' '), html: node.html.slice(0, 160),
    ours: !!document.querySelector(node.target.at(-1))?.closest('article'),
  })));
}"""
# What sticks out of a 390 px window, unless a box around it scrolls.
OVERFLOW = """() => {
  const scrolls = e => e && e !== document.documentElement && (
    ['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const out = [...document.querySelectorAll('.bd-article *')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !scrolls(e.parentElement);
  });
  return {page: document.documentElement.scrollWidth,
          out: out.slice(0, 5).map(e => e.outerHTML.slice(0, 120))};
}"""
FIGURES = """() => [...document.querySelectorAll('.bd-article img')].map(e => ({
  alt: e.alt, filter: getComputedStyle(e).filter, background: getComputedStyle(e).backgroundColor,
  drawn: e.complete && e.naturalWidth > 0, shown: e.getBoundingClientRect().width}))"""
# A colour that is still on its way from light to dark has a contrast of its own.
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
# The solutions, in the order of the page, and how many of their blocks the eye can see.
SOLUTIONS = """() => [...document.querySelectorAll('.solution')].map(e => {
  const parts = [...e.querySelectorAll('p, pre, img')];
  return {all: parts.length, shown: parts.filter(p => p.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})).length};
})"""
UNSET = """() => [...document.querySelectorAll('.math')]
  .filter(e => !e.querySelector('.katex')).map(e => e.textContent)"""
ICONS = """() => [...new Set([...document.querySelectorAll('.fa-solid, .fas, .fa-brands, .fa-regular')]
  .filter(e => getComputedStyle(e).getPropertyValue('--icon') === '').map(e => e.className))]"""


def chromium() -> str | None:
    """The machine's own browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def pages() -> list[str]:
    """Every page of the site: ours, the search, and the source code of the package."""
    names = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    return [name for name in names if not name.startswith(("_static/", "vendor/"))]


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *details: Any) -> None:
        """Say nothing."""


@contextmanager
def serve() -> Iterator[str]:
    """The address of a server that shows the built book."""
    quiet = functools.partial(Handler, directory=os.fspath(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@dataclass
class Visit:
    """What a page did while it was looked at."""

    name: str
    requests: int = 0
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)  # bytes, compressed, by address
    faults: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    phone: dict[str, Any] = field(default_factory=dict)
    solutions: dict[str, list[dict[str, int]]] = field(default_factory=dict)
    icons: list[str] = field(default_factory=list)
    unset: list[str] = field(default_factory=list)  # formulas that stayed text

    @property
    def html(self) -> int:
        return self.sizes[self.name]

    @property
    def total(self) -> int:
        return sum(self.sizes.values())


def visit(browser: Any, site: str, name: str) -> Visit:
    page, seen = browser.new_page(viewport=WIDE), Visit(name)
    listen(page, site, seen)
    page.goto(site + name)
    page.wait_for_function(SETTLED)
    page.wait_for_load_state("networkidle")
    page.add_script_tag(path=AXE)
    page.add_style_tag(content=STILL)
    look(page, seen, "light", [])
    seen.icons, seen.unset = page.evaluate(ICONS), page.evaluate(UNSET)
    page.evaluate(GO_DARK)
    look(page, seen, "dark", ["color-contrast", "link-in-text-block"])
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(100)
    seen.phone = page.evaluate(OVERFLOW)
    look(page, seen, "phone", ["scrollable-region-focusable", "target-size", "meta-viewport"])
    page.set_viewport_size(WIDE)
    page.emulate_media(media="print")
    seen.solutions["print"] = page.evaluate(SOLUTIONS)
    seen.figures["print"] = page.evaluate(FIGURES)
    page.close()
    return seen


def listen(page: Any, site: str, seen: Visit) -> None:
    def weigh(response: Any) -> None:
        address = response.url.removeprefix(site).partition("?")[0]
        if not response.ok:
            seen.failed.append(f"{response.status} {response.url}")
        elif not address.endswith((".png", ".svg", ".jpg")):
            body = response.body()
            seen.sizes[address] = len(body if "woff" in address else gzip.compress(body, 6))

    def note(request: Any) -> None:
        seen.requests += not request.url.startswith("data:")
        if not request.url.startswith((site, "data:", "blob:")):
            seen.foreign.append(request.url)

    def hear(line: Any) -> None:
        if line.type in ("error", "warning"):
            seen.messages.append(f"{line.type}: {line.text}")

    page.on("request", note)
    page.on("requestfailed", lambda request: seen.failed.append(request.url))
    page.on("requestfinished", lambda request: weigh(request.response()))
    page.on("console", hear)
    page.on("pageerror", lambda error: seen.messages.append(f"error: {error}"))


def look(page: Any, seen: Visit, mode: str, rules: list[str]) -> None:
    """Let axe look at the page as it is now; no rules means all of them."""
    seen.faults += [fault | {"mode": mode} for fault in page.evaluate(RUN_AXE, rules)]
    seen.figures[mode] = page.evaluate(FIGURES)
