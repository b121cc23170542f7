"""Mutation testing: plant each small mistake of `mutations.py` in a module, and see a test fail.

A test that no mistake can fail proves nothing. Each mutant meets the tests that speak for its module:
tests/test_<module>.py first, then the comparisons with other libraries and the promises of every
optimizer, for the rows of tests/cases.py that use the module. A mutant that no test can tell from the
original is explained in tests/equivalent_mutants.toml. Any other survivor is an error, and so is an
explanation that no survivor needs.

    python tools/mutants.py [--module NAME ...] [--show | --verbose]
"""

import argparse
import sys
import time
import tomllib
from collections.abc import Set
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from zlib import crc32

from mutations import Mutant, plant
from trials import PACKAGE, TOO_LONG, Verdict, forked, prepared, result, rows_of, trial, verdict

LIST = "tests/equivalent_mutants.toml"
# Machinery, where a mistake is seldom one of mathematics. Every other module is mutated.
MACHINERY = {
    "__init__", "backends", "checks", "dialects", "executors", "figures", "kernels", "optimizer",
    "packing", "roofline", "torch_adapter", "tracing", "trees",
}  # fmt: skip


class MutantsError(Exception):
    """A sentence for the author: what was expected, what came, what to do."""


@dataclass(frozen=True)
class Explanation:
    """An entry of the list: a mutant, by its key, and why no test can tell it from the original."""

    module: str
    function: str
    before: str
    after: str
    because: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.module, self.function, self.before, self.after


def planted_in(root: Path, names: list[str]) -> list[Mutant]:
    """The mutants of the named modules, or of all that hold mathematics."""
    paths = {path.stem: path for path in sorted((root / PACKAGE).glob("*.py"))}
    if unknown := [name for name in names if name not in paths]:
        raise MutantsError(f"{', '.join(unknown)}: expected modules, one of {', '.join(paths)}.")
    chosen = names or [name for name in paths if name not in MACHINERY]
    return [mutant for name in chosen for mutant in plant(name, paths[name].read_text("utf-8"))]


def sample(mutants: list[Mutant], one_in: int) -> list[Mutant]:
    """Each with the chance 1 / one_in, by a hash of what it changes: the same ones at every run."""
    return [m for m in mutants if crc32(repr(m.key).encode()) % one_in == 0]


def explanations(root: Path) -> list[Explanation]:
    """The committed list of equivalent mutants."""
    path, expected = root / LIST, [field.name for field in fields(Explanation)]
    entries = tomllib.loads(path.read_text("utf-8")).get("mutant", []) if path.is_file() else []
    for entry in entries:
        if set(entry) != set(expected) or not all(entry.values()):
            raise MutantsError(f"{LIST}: expected entries with {expected}, got {entry}.")
    return [Explanation(**entry) for entry in entries]


# ---- The run


def kill(root: Path, planted: list[Mutant], patience: float) -> list[Verdict]:
    """What the tests say of each mutant, within `patience` seconds and five times what they need."""
    rows = result(partial(rows_of, root))
    if not isinstance(rows, dict):
        raise MutantsError(f"tests/cases.py: expected it to be importable, but the import {rows}.")
    modules = dict.fromkeys(mutant.module for mutant in planted)
    limits = {name: patience + 5 * seconds(root, name, rows.get(name, [])) for name in modules}
    jobs = [partial(trial, root, m.module, m.source, rows.get(m.module, [])) for m in planted]
    found: dict[int, Verdict] = {}
    for at, answer in forked(jobs, [limits[mutant.module] for mutant in planted]):
        found[at] = verdict(answer)
        alive = sum(not one.killer for one in found.values())
        progress(len(found), len(planted), f"{alive} alive, {planted[at].module}")
    return [found[at] for at in range(len(planted))]


def seconds(root: Path, module: str, rows: list[str]) -> float:
    """How long the tests of a module take as it is. Unless they pass, no mutant would prove anything."""
    if not (root / "tests" / f"test_{module}.py").is_file():
        raise MutantsError(f"{module}: expected tests that speak for it in tests/test_{module}.py.")
    source = (root / PACKAGE / f"{module}.py").read_text("utf-8")
    plain = verdict(result(partial(trial, root, module, source, rows)))
    if plain.killer or not plain.passed:
        why = f"{plain.killer}\n{plain.message}" if plain.killer else "there are none."
        raise MutantsError(f"{module}: its tests must pass before a mistake is planted: {why}")
    return plain.seconds


def progress(done: int, count: int, words: str) -> None:
    """A bar on a terminal; elsewhere a line now and then."""
    if sys.stderr.isatty():
        bar, end = "#" * (30 * done // count), "\n" if done == count else ""
        print(f"\r[{bar:30}] {done} of {count}, {words}\033[K", end=end, file=sys.stderr)
    elif done % 100 == 0 or done == count:
        print(f"mutants: {done} of {count}, {words}", file=sys.stderr, flush=True)


# ---- The report


def report(
    root: Path, planted: list[Mutant], verdicts: list[Verdict], every: list[Explanation],
    others: Set[tuple[str, ...]] = frozenset(),
) -> bool:  # fmt: skip
    """Print who survived, what is explained no longer, and the score; whether all is well.

    `others` are the keys of mutants that exist and were not tried.
    """
    killed = {id(m) for m, found in zip(planted, verdicts, strict=True) if found.killer}
    alive = [mutant for mutant in planted if id(mutant) not in killed]
    modules, keys = list(dict.fromkeys(m.module for m in planted)), {m.key for m in alive}
    listed = [entry for entry in every if entry.module in modules]
    explained = {entry.key for entry in listed}
    survivors = [mutant for mutant in alive if mutant.key not in explained]
    stale = [entry for entry in listed if entry.key not in keys | others]
    for mutant in survivors:
        print(f"\n{place(root, mutant)}: survived\n  - {mutant.before}\n  + {mutant.after}")
    if survivors:
        print(
            "\nNo test fails with the line + in place of -. Write one in tests/test_<module>.py; or,"
            f" if none can tell them apart, say why in {LIST}."
        )
    for entry in stale:
        print(
            f"\n{LIST}: {entry.module}, {entry.function}: no such mutant survives\n  - {entry.before}"
        )
        print(f"  + {entry.after}\nA test kills it now, or the code changed. Take the entry out.")
    table(modules, planted, killed, survivors)
    count, hung = len(killed) + len(survivors), sum(one.killer == TOO_LONG for one in verdicts)
    if others:
        print(f"a sample: {len(planted)} of {len(planted) + len(others)} mutants")
    print(
        f"mutants: {len(killed)} of {count} killed, {len(killed) / max(count, 1):.1%}"
        f" ({hung} by running out of time); {len(alive) - len(survivors)} more are equivalent"
    )
    return not survivors and not stale


def table(
    modules: list[str], planted: list[Mutant], killed: set[int], survivors: list[Mutant]
) -> None:
    print(f"\n{'module':18}{'planted':>9}{'killed':>9}{'equivalent':>12}{'survived':>10}")
    for name in modules:
        mutants = [mutant for mutant in planted if mutant.module == name]
        dead = sum(id(mutant) in killed for mutant in mutants)
        left = sum(mutant.module == name for mutant in survivors)
        print(f"{name:18}{len(mutants):9}{dead:9}{len(mutants) - dead - left:12}{left:10}")


def place(root: Path, mutant: Mutant) -> str:
    """The line of the module, the cell it was written in, and the function."""
    path = f"{PACKAGE}/{mutant.module}.py"
    above = (root / path).read_text("utf-8").split("\n")[: mutant.line]
    cells = [line.removeprefix("# %% ") for line in above if line.startswith("# %% ")]
    return f"{path}:{mutant.line}, {''.join(f'{cell}, ' for cell in cells[-1:])}{mutant.function}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Plant mistakes, and see whether tests fail.")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    parser.add_argument(
        "--module", action="append", default=[], help="only this one; may be repeated"
    )
    parser.add_argument("--show", action="store_true", help="list the mutants, run nothing")
    parser.add_argument(
        "--verbose", action="store_true", help="tell the test that killed each mutant"
    )
    parser.add_argument("--one-in", type=int, default=1, help="try a share of them, 1 / ONE_IN")
    parser.add_argument("--patience", type=float, default=5, help="seconds, for a test that hangs")
    options = parser.parse_args(arguments)
    root, begun = options.root.resolve(), time.monotonic()
    try:
        every, listed = planted_in(root, options.module), explanations(root)
        planted = sample(every, options.one_in)
        others = {mutant.key for mutant in every} - {mutant.key for mutant in planted}
        verdicts = [Verdict("")] * len(planted)
        if not options.show:
            with prepared():
                verdicts = kill(root, planted, options.patience)
        if options.show or options.verbose:
            for mutant, found in zip(planted, verdicts, strict=True):
                print(
                    f"{place(root, mutant)}\n  - {mutant.before}\n  + {mutant.after}\n  {found.killer}"
                )
        fine = options.show or report(root, planted, verdicts, listed, others)
        print(f"mutants: {len(planted)} in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    except MutantsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
