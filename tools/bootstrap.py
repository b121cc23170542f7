"""Set up .venv from nothing, once: everything that builds, tests and runs the book.

The Makefile calls this before every target that needs the environment, so the usual call must
cost nothing: a stamp in .venv remembers what was installed, and an unchanged stamp ends the work.
What can go wrong on a stranger's machine (an old Python, no venv module, no network) is said in
one sentence with the way out. Only the standard library is at hand here, and the file keeps to the
syntax of Python 3.8, so that an old interpreter can still say what is wrong with it.

    python3 tools/bootstrap.py [--extra bench]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
IMPATIENT = ["--retries", "1", "--timeout", "10"]  # for wheels that we prefer, but can do without
USABLE = f"import pip, sys; sys.exit(sys.version_info < {OLDEST})"
OFFLINE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|SSLError|MaxRetryError"
    r"|Connection (broken|refused|reset)|Network is unreachable|ReadTimeout"
)


class SetupError(Exception):
    """A sentence for the reader: what is missing, and what to do."""


def bootstrap(root: Path, extra: str | None = None) -> None:
    """Bring `.venv` up to date with requirements.txt, or leave it alone if it is already."""
    check_interpreter()
    if is_current(root, extra):
        return
    with one_at_a_time(root):
        if is_current(root, extra):  # another call has just done it
            return
        print("setting up .venv (about 2 GB; a few minutes the first time) ...", flush=True)
        if not is_usable(root):
            make_venv(root)
        install(root, extra)
    print("done", flush=True)


# ---- The interpreter that runs this


def check_interpreter() -> None:
    if sys.version_info[:2] < OLDEST:
        raise SetupError(
            f"Python {dotted(OLDEST)} or newer is needed, but {sys.executable} is Python "
            f"{dotted(sys.version_info[:3])}: name a newer one, as in `make book "
            f"PYTHON=python{dotted(OLDEST)}`."
        )
    if os.name != "posix":
        raise SetupError(
            "This set-up is for Linux and macOS: on Windows use WSL, or install requirements.txt "
            "into an environment of your own."
        )
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise no_venv(f"{sys.executable} has no module {module}")


def no_venv(problem: str) -> SetupError:
    package = f"python{dotted(sys.version_info[:2])}-venv"
    return SetupError(
        f"{problem}, so it cannot make .venv: on Debian and Ubuntu run `sudo apt install "
        f"{package}`; elsewhere install Python from python.org, or name another with PYTHON=..."
    )


def dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


# ---- The stamp


def stamp_path(root: Path, extra: str | None) -> Path:
    return root / ".venv" / (f"stamp-{extra}.json" if extra else "stamp.json")


def stamp(root: Path) -> dict[str, str]:
    """What the environment depends on. A clone that moved needs a new one: scripts name paths."""
    import tomllib

    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    parts = [
        (root / "requirements.txt").read_text(encoding="utf-8"),
        pyproject["build-system"],
        project.get("dependencies"),
        project.get("optional-dependencies"),
    ]
    wanted = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return {"root": str(root), "wanted": wanted}


def stamped(root: Path, extra: str | None) -> dict[str, str]:
    try:
        found = json.loads(stamp_path(root, extra).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_current(root: Path, extra: str | None) -> bool:
    return python(root).exists() and stamped(root, extra) == stamp(root)


@contextlib.contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Let two calls wait for each other; the lock is on a file that is there anyway."""
    import fcntl

    with (root / "requirements.txt").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


# ---- The environment


def python(root: Path) -> Path:
    return root / ".venv" / "bin" / "python"


def unfinished(root: Path) -> Path:
    """There while packages are being installed: what it outlives was interrupted, and is suspect."""
    return root / ".venv" / "unfinished"


def is_usable(root: Path) -> bool:
    """Whether .venv can be kept: a working Python with pip, not interrupted, not moved."""
    moved = stamped(root, None).get("root", str(root)) != str(root)
    if moved or unfinished(root).exists() or not python(root).exists():
        return False
    with contextlib.suppress(OSError):
        probe = subprocess.run([str(python(root)), "-c", USABLE], capture_output=True)
        return probe.returncode == 0
    return False


def make_venv(root: Path) -> None:
    """Make .venv, in the place of whatever is there."""
    folder = root / ".venv"
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if made.returncode:
        said = (made.stdout.strip().splitlines() or ["it gave no reason"])[-1]
        raise no_venv(f"`{sys.executable} -m venv .venv` failed ({said.rstrip('.')})")


def install(root: Path, extra: str | None) -> None:
    """Install requirements.txt, and the packages of an extra; leave the stamp that says so."""
    unfinished(root).touch()
    with (root / ".venv" / "install.log").open("w", encoding="utf-8") as log:
        log.write(f"set up by {sys.executable}, Python {sys.version}\n")
    prefer_cpu_torch(root)
    arguments = ["-r", "requirements.txt", *(extra_packages(root, extra) if extra else [])]
    failed = pip(root, arguments)
    unfinished(root).unlink()  # pip came to an end, so the environment is whole either way
    if failed:
        raise install_error(arguments, failed)
    for name in {None, extra}:
        stamp_path(root, name).write_text(json.dumps(stamp(root)), encoding="utf-8")


def install_error(arguments: list[str], output: str) -> SetupError:
    command = shlex.join([".venv/bin/python", "-m", "pip", "install", *arguments])
    reason = "could not reach the package index" if OFFLINE.search(output) else "failed"
    return SetupError(
        f"pip {reason}, and left its log in .venv/install.log: to see it all, run `{command}`."
    )


def prefer_cpu_torch(root: Path) -> None:
    """On Linux PyPI's torch brings gigabytes of CUDA; the CPU wheel will do where it can be had.

    Its dependencies are left to requirements.txt, which also installs torch if this does not.
    """
    requirements = (root / "requirements.txt").read_text(encoding="utf-8")
    pinned = re.search(r"^torch==([\w.]+)", requirements, re.MULTILINE)
    if sys.platform != "linux" or pinned is None:
        return
    wheel = ["--no-deps", *IMPATIENT, f"torch=={pinned[1]}+cpu"]
    if pip(root, wheel):
        pip(root, [*wheel, "--extra-index-url", CPU_WHEELS])


def extra_packages(root: Path, extra: str) -> list[str]:
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    if extra not in extras:
        raise SetupError(f"pyproject.toml has no extra {extra!r}, only {', '.join(extras)}.")
    return extras[extra]


def pip(root: Path, arguments: list[str]) -> str:
    """Run pip, its output kept in the log; return that output if it failed, else nothing."""
    command = [str(python(root)), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    ran = subprocess.run(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with (root / ".venv" / "install.log").open("a", encoding="utf-8") as log:
        log.write(f"\n$ {shlex.join(command)}\n{ran.stdout}")
    return (ran.stdout or "no output") if ran.returncode else ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Set up .venv, once.")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--extra", help="also install the packages of this extra, such as bench")
    options = parser.parse_args(arguments)
    try:
        bootstrap(options.root.resolve(), options.extra)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f".venv could not be made: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
