"""Mutants: the mistakes that are planted, which of them die, and what the report makes of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import mutants  # noqa: E402
from mutations import plant  # noqa: E402


def of(formula: str, arguments: str = "a, b, c, t") -> set[str]:
    """What one function's only formula becomes."""
    source = f"def f({arguments}):\n    return {formula}\n"
    return {m.after.removeprefix("return ") for m in plant("toy", source) if m.line == 2}


# --- the mistakes


@pytest.mark.parametrize(
    ("formula", "wrong"),
    [
        ("a + b", {"a - b", "a", "b"}),
        ("a - b", {"a + b", "a", "-b"}),
        ("a * b", {"b"}),
        ("a / b", {"a * b", "a"}),
        ("a ** b", {"a * b", "a"}),
        ("1 - a", {"1 + a", "1", "2 - a"}),
        ("-a", {"a"}),
        ("a ** 0.5", {"a * 0.5", "a", "a ** 1.0"}),
        ("a[0]", {"a[1]", "a[-1]"}),
        ("a ** t", {"a * t", "a", "a ** (t + 1)", "a ** (t - 1)"}),
        ("a[t - 1]", {"a[t + 1]", "a[t]", "a[-1]", "a[t - 2]"}),
        ("abs(a)", {"a"}),
        ("np.maximum(a, b)", {"np.minimum(a, b)", "a", "b"}),
        ("np.where(a < b, a, b)", {"np.where(a < b, b, a)", *(f"np.where(a {op} b, a, b)" for op in ("<=", ">="))}),
        ("np.zeros_like(a)", {"np.ones_like(a)"}),
        ("a if b else c", {"c if b else a"}),
        ("a and b", {"a or b"}),
        ("not a", {"a"}),
        ("f'{a + 1}'", set()),
    ],
)  # fmt: skip
def test_a_formula_becomes_each_of_its_neighbours(formula: str, wrong: set[str]) -> None:
    assert of(formula) == wrong


@pytest.mark.parametrize(
    ("formula", "wrong"),
    [
        ("np.sqrt(a) + b", "np.sqrt(a + b)"),
        ("np.sqrt(a + b)", "np.sqrt(a) + b"),
        ("a ** 0.5 + b", "(a + b) ** 0.5"),
        ("(a + b) ** 0.5", "a ** 0.5 + b"),
        ("np.maximum(a, b + c)", "np.maximum(a, b) + c"),
    ],
)
def test_epsilon_goes_to_the_other_side_of_the_root(formula: str, wrong: str) -> None:
    assert wrong in of(formula)


def test_an_argument_is_taken_for_the_next_of_its_type() -> None:
    found = of("beta1 * m", "m: Any, v: Any, *, beta1: float, beta2: float, t: int")
    assert found == {"beta2 * m", "beta1 * v", "m"}


RULE = '''
"""A module."""
@dataclass(frozen=True)
class Rule(Optimizer):
    """A class."""
    lr: Schedule = 0.1
    eps: float = 1e-8
    slots = ("m", "v")

    @staticmethod
    def rule(theta, g, m, t: int = 1):
        m = m
        theta = theta - m
        if t < 2:
            raise ValueError(f"t is {t + 1}, not {2}")
        return theta

    def metric(self, state):
        checked(state)
        return self.hyper(state.t)["lr"] * self.eps * state.v
'''


def test_statements_fields_slots_and_order() -> None:
    found = {(m.function, m.before, m.after) for m in plant("toy", RULE)}
    assert found == {
        ("Rule", "lr: Schedule = 0.1", "lr: Schedule = 0.2"),
        ("Rule", "eps: float = 1e-08", "eps: float = 2e-08"),
        ("Rule", "slots = ('m', 'v')", "slots = ('v', 'm')"),
        ("Rule.rule", "def rule(theta, g, m, t: int=1):", "def rule(theta, g, m, t: int=2):"),
        ("Rule.rule", "def rule(theta, g, m, t: int=1):", "def rule(theta, g, m, t: int=0):"),
        ("Rule.rule", "m = m", "(left out)"),
        ("Rule.rule", "m = m; theta = theta - m", "theta = theta - m; m = m"),
        ("Rule.rule", "theta = theta - m", "theta = theta + m"),
        ("Rule.rule", "theta = theta - m", "theta = theta"),
        ("Rule.rule", "theta = theta - m", "theta = -m"),
        ("Rule.rule", "theta = theta - m", "(left out)"),
        ("Rule.rule", "if t < 2:", "if t <= 2:"),
        ("Rule.rule", "if t < 2:", "if t >= 2:"),
        ("Rule.rule", "if t < 2:", "if t + 1 < 2:"),
        ("Rule.rule", "if t < 2:", "if t - 1 < 2:"),
        ("Rule.rule", "if t < 2:", "if t < 3:"),
        ("Rule.rule", "if t < 2:", "if t < 1:"),
        ("Rule.metric", "checked(state)", "(left out)"),
        *(
            ("Rule.metric", "return self.hyper(state.t)['lr'] * self.eps * state.v", after)
            for after in (
                "return state.v",
                "return self.eps * state.v",
                "return self.hyper(state.t + 1)['lr'] * self.eps * state.v",
                "return self.hyper(state.t - 1)['lr'] * self.eps * state.v",
                "return self.hyper(state.t)['eps'] * self.eps * state.v",
                "return self.hyper(state.t)['lr'] * self.lr * state.v",
                "return self.hyper(state.t)['lr'] * self.eps * state.m",
            )
        ),
    }


def test_each_mutant_is_another_program_and_the_order_is_that_of_the_text() -> None:
    planted = plant("adam", (ROOT / "adam_tutorial" / "adam.py").read_text("utf-8"))
    assert len({mutant.source for mutant in planted}) == len(planted) > 100
    assert [mutant.line for mutant in planted] == sorted(mutant.line for mutant in planted)
    assert planted == plant("adam", (ROOT / "adam_tutorial" / "adam.py").read_text("utf-8"))
    for mutant in planted:
        compile(mutant.source, "mutant", "exec")


def test_every_module_is_mathematics_or_is_called_machinery() -> None:
    names = {path.stem for path in (ROOT / "adam_tutorial").glob("*.py")}
    assert names >= mutants.MACHINERY
    for name in names - mutants.MACHINERY:
        assert (ROOT / "tests" / f"test_{name}.py").is_file(), name


# --- the run, on a package of three formulas

TOY = """
# %% chapters/toy.ipynb#toy-formula
def double(x):
    return x + x


def until(x):
    while x < 3:
        x = x + 1
    return x


def largest(x):
    return abs(x) * 1
"""
TESTS = """
from adam_tutorial.toy import double, largest, until

def test_double():
    assert double(3) == 6

def test_until():
    assert until(0) == 3

def test_largest():
    assert largest(2) == 2
"""
ABS = ("return abs(x) * 1", "return x * 1", "the argument is a size, which is never negative")


def toy(root: Path, *listed: tuple[str, str, str], tests: str = TESTS) -> Path:
    """A repository of one module, its tests, and a list of explanations for `largest`."""
    for folder in ("adam_tutorial", "tests"):
        (root / folder).mkdir()
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (root / "adam_tutorial" / "__init__.py").write_text("")
    (root / "adam_tutorial" / "toy.py").write_text(TOY)
    (root / "tests" / "test_toy.py").write_text(tests)
    entries = [
        f'[[mutant]]\nmodule = "toy"\nfunction = "largest"\nbefore = "{before}"\nafter = "{after}"\n'
        f'because = "{because}"\n'
        for before, after, because in listed
    ]
    (root / mutants.LIST).write_text("\n".join(entries))
    return root


COMMAND = f"""
import sys
sys.path.insert(0, {str(ROOT / "tools")!r})
import mutants, trials
trials.PRELOADED = ("pytest",)
sys.exit(mutants.main())
"""


def run(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command; nothing but pytest has to be imported beforehand for such small tests."""
    command = [sys.executable, "-c", COMMAND, "--root", str(root), "--patience=0.5", *options]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)


def test_who_dies_who_hangs_and_who_survives(tmp_path: Path) -> None:
    done = run(toy(tmp_path), "--verbose")
    assert done.returncode == 1, done.stderr
    killed, _, survived = done.stdout.partition(": survived")
    assert "  + return x - x\n  tests/test_toy.py::test_double" in killed
    assert "  + x = x\n  out of time" in killed
    assert "adam_tutorial/toy.py:14, chapters/toy.ipynb#toy-formula, largest" in killed
    assert survived.startswith("\n  - return abs(x) * 1\n  + return x * 1\n")
    assert "tests/equivalent_mutants.toml" in survived
    assert done.stdout.splitlines()[-1].startswith("mutants: 13 of 14 killed, 92.9% (")


def test_an_explained_survivor_is_no_error_and_not_counted(tmp_path: Path) -> None:
    done = run(toy(tmp_path, ABS), "--module", "toy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("mutants: 13 of 13 killed, 100.0% (")
    assert done.stdout.splitlines()[-1].endswith("; 1 more are equivalent")


def test_an_explanation_that_nothing_needs_is_refused(tmp_path: Path) -> None:
    tests = TESTS.replace("largest(2)", "largest(-2)")
    done = run(toy(tmp_path, ABS, ("return x", "return y", "old"), tests=tests))
    assert done.returncode == 1
    assert done.stdout.count("no such mutant survives") == 2
    assert "mutants: 14 of 14 killed" in done.stdout


def test_a_sample_is_a_share_and_the_same_at_every_run() -> None:
    planted = mutants.planted_in(ROOT, ["rmsprop", "nadam"])
    chosen = mutants.sample(planted, 6)
    assert chosen == mutants.sample(planted, 6) and mutants.sample(planted, 1) == planted
    assert len(planted) / 9 < len(chosen) < len(planted) / 4


def test_a_sample_refuses_only_what_no_mutant_needs(tmp_path: Path) -> None:
    root = toy(tmp_path, ABS, ("return x", "return y", "old"))
    planted = mutants.planted_in(root, ["toy"])
    untried = ("toy", "largest", *ABS[:2])
    share = next(
        n for n in range(2, 99) if untried not in {m.key for m in mutants.sample(planted, n)}
    )
    done = run(root, f"--one-in={share}")
    assert done.returncode == 1 and done.stdout.count("no such mutant survives") == 1
    assert (
        f"a sample: {len(mutants.sample(planted, share))} of {len(planted)} mutants" in done.stdout
    )


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        (TESTS.replace("== 6", "== 7"), "toy: its tests must pass before a mistake is planted: "),
        ("", "toy: its tests must pass before a mistake is planted: there are none."),
    ],
)
def test_tests_that_fail_without_a_mistake_are_refused(
    tmp_path: Path, tests: str, words: str
) -> None:
    done = run(toy(tmp_path, tests=tests))
    assert done.returncode == 1 and words in done.stderr and not done.stdout


def test_a_module_without_tests_or_an_unknown_module_is_refused(tmp_path: Path) -> None:
    root = toy(tmp_path)
    with pytest.raises(mutants.MutantsError, match="nothing: expected modules, one of .*toy"):
        mutants.planted_in(root, ["nothing"])
    with pytest.raises(mutants.MutantsError, match="expected tests that speak for it in tests/"):
        mutants.seconds(root, "other", [])


def test_an_entry_without_a_reason_is_refused(tmp_path: Path) -> None:
    root = toy(tmp_path, (*ABS[:2], ""))
    with pytest.raises(mutants.MutantsError, match="because"):
        mutants.explanations(root)


def test_the_list_of_equivalent_mutants_can_be_read_and_names_mutants() -> None:
    planted = {mutant.key for mutant in mutants.planted_in(ROOT, [])}
    for entry in mutants.explanations(ROOT):
        assert entry.key in planted, entry


def test_show_lists_the_mutants_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutants.main(["--root", str(toy(tmp_path)), "--show"]) == 0
    assert "  - return x + x\n  + return x - x\n" in capsys.readouterr().out
