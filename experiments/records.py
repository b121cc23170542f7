"""What the experiments share: the program, and records that say how they were made.

An experiment is a program beside this file, of minutes on a laptop. Its configuration is a frozen
dataclass. The same experiment at the scale of its paper, for a GPU, is in `published/`.
"""

import argparse
import json
import os
import platform
import re
import textwrap
import time
from dataclasses import asdict
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from adam_tutorial import backends

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("adam-tutorial", "numpy", "scikit-learn", "cupy-cuda12x", "cupy-cuda13x", "torch")


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def setting(seconds: float) -> dict[str, Any]:
    """Where and with what it ran, with no name of a host and no path."""
    return {
        "date": date.today().isoformat(),
        "seconds": round(seconds),
        "device": backends.describe(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
    }


def rounded(value: Any, digits: int = 4) -> Any:
    """Plain Python values, every float to so many digits: more than the seeds can tell."""
    if isinstance(value, dict):
        return {str(name): rounded(each, digits) for name, each in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [rounded(each, digits) for each in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{digits}g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def record(name: str, config: Any, results: dict[str, Any], seconds: float, to: Path) -> None:
    """Write NAME.json: the setting, the configuration and the results."""
    to.mkdir(parents=True, exist_ok=True)
    parts = {"setting": setting(seconds), "config": asdict(config), "results": results}
    text = json.dumps(rounded(parts), indent=None, separators=(", ", ": "))
    (to / f"{name}.json").write_text(text + "\n", "utf-8")


def written(value: Any, indent: int = 4) -> str:
    """A value as Python source: what holds dicts has a line for each name, all else fills its lines."""
    pad = " " * indent
    if isinstance(value, dict) and any(isinstance(each, dict) for each in value.values()):
        lines = (f"{pad}{name!r}: {written(each, indent + 4)},\n" for name, each in value.items())
        return "{\n" + "".join(lines) + " " * (indent - 4) + "}"
    whole = re.sub(r"'[^']*'", lambda name: name[0].replace(" ", "\0"), repr(value))
    return textwrap.fill(
        whole, 96 - indent, subsequent_indent=pad, break_long_words=False, break_on_hyphens=False
    ).replace("\0", " ")


def literal(name: str) -> str:
    """The cell with the recorded results, for the chapter that shows them."""
    results = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["results"]
    head = f"# fmt: off\n{name} = {{  # experiments/results/{name}.json\n"
    return head + written(results).removeprefix("{\n").replace("'", '"')


def run(name: str, config: Any, experiment: Any, published: str, description: str) -> None:
    """The program: run the experiment, and keep or show what it found.

    experiment  a function of the configuration that returns a dict of lists and numbers
    published   the experiment in `published/` that has the paper's own settings
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", choices=["small", "published"], default="small")
    parser.add_argument("--record", nargs="?", type=Path, const=RESULTS, help="keep the results")
    parser.add_argument("--literal", action="store_true", help="print the kept results as a cell")
    chosen = parser.parse_args()
    if chosen.scale == "published":
        parser.exit(2, f"On a GPU: python experiments/published/run.py {published} --folder DATA\n")
    if chosen.literal:
        print(literal(name))
        return
    start = time.perf_counter()
    results = experiment(config)
    if chosen.record:
        record(name, config, results, time.perf_counter() - start, chosen.record)
    else:
        print(json.dumps(rounded(results), indent=1))
