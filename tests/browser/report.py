"""Print what each page weighs, asks for and says: a table for people; the tests judge.

.venv/bin/python tests/browser/report.py
"""

from playwright.sync_api import sync_playwright
from visit import chromium, pages, serve, visit

COLUMNS = "{:<44} {:>7} {:>7} {:>9} {:>8} {:>8} {:>9}"

print(COLUMNS.format("page", "html kB", "all kB", "requests", "foreign", "console", "axe"))
with serve() as site, sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
    for name in pages():
        seen = visit(browser, site, name)
        faults = [fault for fault in seen.faults if fault["impact"] != "minor"]
        sizes = f"{seen.html / 1000:.1f}", f"{seen.total / 1000:.0f}"
        counts = seen.requests, len(seen.foreign), len(seen.messages), len(faults)
        print(COLUMNS.format(name, *sizes, *counts))
    browser.close()
