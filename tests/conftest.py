"""Which tests can run here: those of the package anywhere, the others where the book's tools are.

`pip install ".[test]"` is enough for the package, on every Python and system. The rest needs what
requirements.txt installs, and a POSIX shell.
"""

import importlib.util
import os

TOOLS = {
    "test_chapters.py": "nbformat",
    "test_colab.py": "nbformat",
    "test_conventions_page.py": "nbformat",
    "test_dialects.py": "sympy",
    "test_colab_runs.py": "nbclient",
    "test_figures.py": "nbformat",
    "test_ledger.py": "sphinx",
    "test_notebooks.py": "jupytext",
    "test_pretend_gpu.py": "nbformat",
    "test_readme.py": "yaml",
    "test_site.py": "jupyter_book",
    "test_tangle.py": "nbformat",
    "test_torch_adapter.py": "torch",
    "test_wheel.py": "hatchling",
    "test_workflows.py": "yaml",
    "browser": "jupyter_book",
}
POSIX = ("test_mutants.py", "test_setup.py", "test_workflows.py")


def missing(module: str) -> bool:
    return importlib.util.find_spec(module) is None


collect_ignore = [name for name, module in TOOLS.items() if missing(module)]
collect_ignore += [name for name in POSIX if os.name != "posix"]


def pytest_report_header() -> list[str]:
    if not collect_ignore:
        return []
    names = ", ".join(sorted(set(collect_ignore)))
    return [f"left out, for want of the book's tools (pip install -r requirements.txt): {names}"]
