"""What the experiments share: the choice of a scale, and records that say how they were made.

An experiment is a program beside this file. Its configuration is a frozen dataclass, at two scales:
"small" takes minutes on a laptop and is what the chapters show; "published" is the paper's, for a GPU.
"""

import argparse
import json
import os
import platform
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
    return textwrap.fill(repr(value), 96 - indent, subsequent_indent=pad)


def literal(name: str) -> str:
    """The cell with the recorded results, for the chapter that shows them."""
    results = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["results"]
    head = f"# fmt: off\n{name} = {{  # experiments/results/{name}.json\n"
    return head + written(results).removeprefix("{\n").replace("'", '"')


def run(name: str, configs: dict[str, Any], experiment: Any, description: str) -> None:
    """The program: choose a configuration, run it, and keep or show what it found.

    experiment  a function of the configuration that returns a dict of lists and numbers
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", choices=list(configs), default="small")
    parser.add_argument("--record", nargs="?", type=Path, const=RESULTS, help="keep the results")
    parser.add_argument("--literal", action="store_true", help="print the kept results as a cell")
    chosen = parser.parse_args()
    if chosen.literal:
        print(literal(name))
        return
    config, start = configs[chosen.scale], time.perf_counter()
    results = experiment(config)
    if chosen.record:
        record(name, config, results, time.perf_counter() - start, chosen.record)
    else:
        print(json.dumps(rounded(results), indent=1))
