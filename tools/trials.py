"""Trials: the tests of a module, run on another text of it, in a process of its own.

Starting Python and importing NumPy, pytest and torch takes seconds, so a parent does it once and
forks a child for each trial. The package itself is not imported before: in the child a finder
serves the one module from the text, and everything that uses it gets that.
"""

import importlib
import importlib.abc
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKAGE = "adam_tutorial"
# After a module's own tests, those of every optimizer that uses it. The golden texts of kernels
# are not among them: any change fails those.
LATER = ("test_agreement.py", "test_optimizer.py")
PRELOADED = (
    "numpy.testing", "pytest", "ml_dtypes", "sympy", "torch._dynamo", "sklearn.datasets",
)  # fmt: skip
WORKERS = 2
TOO_LONG = "out of time"


@dataclass(frozen=True)
class Verdict:
    """What the tests said: the first that failed, or "", with its message; how many passed."""

    killer: str
    message: str = field(default="", repr=False)
    passed: int = 0
    seconds: float = 0.0


# ---- In the child


class Planted(importlib.abc.SourceLoader):
    """Serves one module of the package with a text that no file holds."""

    def __init__(self, path: Path, source: str) -> None:
        self.name, self.path, self.source = f"{PACKAGE}.{path.stem}", str(path), source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_filename(self, name: str) -> str:
        return self.path

    def get_data(self, path: Any) -> bytes:
        return self.source.encode()


class Watch:
    """A pytest plugin: keeps to some rows of tests/cases.py, and notes the first failure."""

    def __init__(self, rows: list[str] | None = None) -> None:
        self.rows, self.killer, self.message, self.passed = rows, "", "", 0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.rows is not None:
            items[:] = [item for item in items if row_of(item) in self.rows]
            items.sort(
                key=lambda item: "metric" not in item.name
            )  # the rule has been tested by now

    def pytest_collectreport(self, report: Any) -> None:
        self.pytest_runtest_logreport(report)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.passed += getattr(report, "when", "") == "call" and report.passed
        if report.failed and not self.killer:
            self.killer, self.message = report.nodeid, report.longreprtext[-4000:]


def row_of(item: Any) -> str:
    """The row of tests/cases.py that a test is given, or ""."""
    return str(item.callspec.params.get("case", "")) if hasattr(item, "callspec") else ""


def trial(root: Path, module: str, source: str, rows: list[str]) -> dict[str, Any]:
    """Run the tests that speak for a module on this text of it, up to the first that fails."""
    import pytest

    begun, tests = time.monotonic(), root / "tests"
    sys.meta_path.insert(0, Planted(root / PACKAGE / f"{module}.py", source))
    sys.path.insert(0, str(root))
    options = ["-x", "-q", "--assert=plain", "--color=no", "-p", "no:cacheprovider"]
    options += [
        "--noconftest",
        "--tb=line",
        "-p",
        "no:unraisableexception",
    ]  # slow, and no help here
    options += [f"--rootdir={root}", "-c", str(root / "pyproject.toml")]
    passed, killer, message = 0, "", ""
    for files, watch in (([f"test_{module}.py"], Watch()), (LATER, Watch(rows))):
        if not killer and (rows or watch.rows is None):
            pytest.main([*options, *(str(tests / file) for file in files)], plugins=[watch])
            passed, killer, message = passed + watch.passed, watch.killer, watch.message
    return vars(Verdict(killer, message, passed, time.monotonic() - begun))


def rows_of(root: Path) -> dict[str, list[str]]:
    """Module -> the rows of tests/cases.py whose optimizer has a class of this module."""
    found: dict[str, list[str]] = {}
    if (root / "tests" / "cases.py").is_file():
        sys.path[:0] = [str(root), str(root / "tests")]
        for case in importlib.import_module("cases").CASES:
            for kind in type(case.make()).__mro__:
                package, _, module = kind.__module__.partition(".")
                if package == PACKAGE and str(case) not in found.setdefault(module, []):
                    found[module].append(str(case))
    return found


# ---- In the parent


@contextmanager
def prepared() -> Iterator[None]:
    """Make the children cheap, alike, and free of side effects."""
    scratch = tempfile.mkdtemp(prefix="mutants-")
    os.environ |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_DEBUG_TEMPROOT": scratch,
        "ADAM_TUTORIAL_BACKEND": "numpy",
        "ADAM_TUTORIAL_CACHE": scratch,
        "ADAM_TUTORIAL_THREADS": "1",
        "OMP_NUM_THREADS": "1",  # a process with threads is not forked safely
        "OPENBLAS_NUM_THREADS": "1",
    }
    sys.modules["numba"] = None  # type: ignore[assignment]  # NumPy replays the rules: the same bits
    for module in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(module)
    try:
        yield
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def forked(jobs: Sequence[Callable[[], Any]], limits: list[float]) -> Iterator[tuple[int, Any]]:
    """(place, result) of each job as it ends; each in its own process, WORKERS at a time.

    The result is what the job returned, as JSON, or a word for why it did not return.
    """
    waiting, running = list(range(len(jobs)))[::-1], dict[int, tuple[int, int]]()
    while waiting or running:
        while waiting and len(running) < WORKERS:
            at = waiting.pop()
            reader, writer = os.pipe()
            if not (pid := os.fork()):
                work(jobs[at], writer, limits[at])
            os.close(writer)
            running[pid] = at, reader
        pid, status = os.wait()
        at, reader = running.pop(pid)
        with open(reader, encoding="utf-8") as pipe:
            sent = pipe.read()
        hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        yield at, json.loads(sent) if sent else TOO_LONG if hung else f"died, status {status}"


def work(job: Callable[[], Any], writer: int, limit: float) -> None:
    """In a child: quiet, and for a limited time; what the job returns goes through the pipe."""
    signal.setitimer(signal.ITIMER_REAL, limit)  # its signal ends the process
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        os.write(writer, json.dumps(job()).encode())
    finally:
        os._exit(0)


def result(job: Callable[[], Any], limit: float = 300) -> Any:
    """The result of one job."""
    return next(forked([job], [limit]))[1]


def verdict(found: Any) -> Verdict:
    """A child's result: one that did not return was killed by its mistake."""
    return Verdict(**found) if isinstance(found, dict) else Verdict(found)
