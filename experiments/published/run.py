"""The published experiments on CIFAR, for a GPU: python experiments/published/run.py swats --folder DATA

Every run is written to a file of its own, and a run that has its file is not repeated. After each
epoch a checkpoint is written, so an interrupted run goes on from there. With --dry-run, two updates
of tiny networks on noise show that all parts work, on any machine, in seconds.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from cifar import ARCHIVES, load, synthetic
from methods import TORCH
from settings import EXPERIMENTS, Experiment, Run
from training import DTYPES, Training, carried_out

RESULTS = Path(__file__).parents[1] / "results" / "published"
PACKAGES = ("adam-tutorial", "numpy", "torch", "cupy-cuda12x", "cupy-cuda13x")
TINY = {"ResNet": (8, 0.25), "Wide ResNet": (10, 0.25), "Shake-Shake": (8, 8), "VGG": (16, 0.0625)}


# ---- Records


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.strip().splitlines()[0]


def setting(device: torch.device) -> dict[str, Any]:
    """Where and with what it ran, with no name of a host and no path."""
    on_gpu = device.type == "cuda"
    return {
        "date": date.today().isoformat(),
        "gpu": torch.cuda.get_device_name(device) if on_gpu else None,
        "driver": driver() if on_gpu else None,
        "CUDA of torch": torch.version.cuda,
        "cuDNN": torch.backends.cudnn.version() if on_gpu else None,  # type: ignore[no-untyped-call]
        "TF32 in convolutions": torch.backends.cudnn.allow_tf32 if on_gpu else None,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
    }


def slug(run: Run) -> str:
    """The name of a run's files: what it is, its seed, and a number for all its settings."""
    words = re.sub(r"[^a-z0-9.]+", "-", f"{run}, seed {run.seed}".lower())
    return f"{words}-{hashlib.sha256(repr(run).encode()).hexdigest()[:8]}"


def record(path: Path, run: Run, results: dict[str, Any], about: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    parts = {"setting": about, "run": asdict(run), "results": results}
    part.write_text(json.dumps(parts) + "\n", "utf-8")
    part.replace(path)


def read(path: Path) -> tuple[Run, dict[str, Any]]:
    parts = json.loads(path.read_text("utf-8"))
    return Run(**{**parts["run"], "at": tuple(parts["run"]["at"])}), parts["results"]


def over_seeds(values: Sequence[float]) -> str:
    spread = f" +- {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def table(experiment: Experiment, folder: Path) -> str:
    """Mean and standard deviation over the seeds that are there, beside what the paper prints."""
    found: dict[Run, list[dict[str, Any]]] = {}
    for run, results in map(read, sorted(folder.glob("*.json"))):
        found.setdefault(replace(run, seed=0), []).append(results)
    lines = ["run: test error in percent, mean +- standard deviation (seeds) | the paper's"]
    for run, all_results in found.items():
        errors = over_seeds([results["test error"] for results in all_results])
        theirs = experiment.published.get(str(run), "")
        line = f"{run}: {errors} ({len(all_results)}) | {theirs}"
        if run.held_out:
            last = [results["by epoch"]["validation error"][-1] for results in all_results]
            line += f" | validation error {over_seeds(last)}"
        lines.append(line)
    return "\n".join(lines)


# ---- The program


def chosen(experiment: Experiment, options: argparse.Namespace) -> list[Run]:
    """The runs that the options ask for, seed by seed, so that every method has some soon."""
    changes: dict[str, Any] = {"held_out": options.hold_out, "precision": options.precision}
    if options.torch:
        changes["library"] = "torch"
    seeds = experiment.seeds if options.seeds is None else options.seeds
    return [
        replace(run, seed=seed, **changes)
        for seed in range(seeds)
        for run in experiment.runs
        if fnmatch.fnmatch(str(run), options.match) and (run.method in TORCH or not options.torch)
    ]


def tiny(run: Run) -> Run:
    """The same run for two updates of a small network, with what happens at a time after the first."""
    depth, width = TINY[run.network]
    at, kept = (1,) if run.at else (), 16 if run.held_out else 0
    return replace(run, depth=depth, width=width, steps=2, at=at, batch=8, held_out=kept)


def dry_runs(runs: Sequence[Run]) -> list[Run]:
    """One of each kind."""
    kinds = {(r.data, r.method, r.shape, bool(r.at)): r for r in reversed(runs) if not r.seed}
    return [tiny(run) for run in reversed(kinds.values())]


def carry_out(runs: list[Run], folder: Path | None, results: Path) -> None:
    """Those whose results are not there yet, one after the other; on noise if there is no folder."""
    device = torch.device("cuda" if torch.cuda.is_available() and folder else "cpu")
    torch.backends.cudnn.benchmark = True
    paths = {run: results / f"{slug(run)}.json" for run in runs}
    left = [run for run in runs if not paths[run].exists()]
    print(f"{len(runs)} runs, {len(left)} of them still to do", flush=True)
    loaded: dict[str, Any] = {}
    for i, run in enumerate(left):
        archive = ARCHIVES[run.data]
        if run.data not in loaded:
            loaded = {run.data: load(archive, folder) if folder else synthetic(archive.classes)}
        training = Training(run, loaded[run.data], device)
        checkpoint = folder / "checkpoints" / f"{slug(run)}.pt" if folder else None
        found = carried_out(training, checkpoint, len(left) - i)
        record(paths[run], run, found, setting(device))
        if checkpoint:
            checkpoint.unlink()


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", choices=list(EXPERIMENTS))
    parser.add_argument("--folder", type=Path, help="for the images (fetched once) and checkpoints")
    parser.add_argument("--results", type=Path, help="default: experiments/results/published/NAME")
    parser.add_argument("--match", default="*", help="only these runs, such as 'cifar10, Adam*'")
    parser.add_argument("--seeds", type=int, help="instead of as many as the experiment has")
    parser.add_argument("--hold-out", type=int, default=0, help="training images for validation")
    parser.add_argument("--precision", choices=list(DTYPES), default="float32")
    parser.add_argument(
        "--torch", action="store_true", help="with torch's own optimizers, where it has them"
    )
    parser.add_argument("--list", action="store_true", help="print the runs, and stop")
    parser.add_argument("--table", action="store_true", help="print the results so far, and stop")
    parser.add_argument("--dry-run", action="store_true", help="two updates on noise, on the CPU")
    return parser


def main(words: Sequence[str] | None = None) -> None:
    options = arguments().parse_args(words)
    experiment = EXPERIMENTS[options.name]()
    runs = chosen(experiment, options)
    results = options.results or RESULTS / options.name
    if options.list:
        print("\n".join(f"{run}, seed {run.seed}" for run in runs))
    elif options.table:
        print(table(experiment, results))
    elif options.dry_run:
        if options.results is None:
            sys.exit("A dry run needs --results FOLDER: its numbers do not belong with the others.")
        carry_out(dry_runs(runs), None, results)
    elif options.folder is None:
        sys.exit("Which folder may hold the images and the checkpoints? Give --folder FOLDER.")
    else:
        carry_out(runs, options.folder, results)
        print(table(experiment, results))


if __name__ == "__main__":
    main()
