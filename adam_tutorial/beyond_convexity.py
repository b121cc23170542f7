"""Beyond convexity: what Adam promises for smooth losses, and where it can come to rest.

`outcomes` runs a method through every way that a few random steps can go, so that expectations are
sums and not estimates. `defossez_proof` computes the lines of the theorem of Defossez, Bottou, Bach &
Usunier on them, for Adam without momentum and for Adagrad; `defossez_bound` is what it promises.
`critical_rate` is the learning rate below which Adam settles from near enough, and above which its linear part is unstable.
"""

# Generated from chapters/beyond_convexity.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from adam_tutorial.adagrad import Adagrad
from adam_tutorial.adam import Adam
from adam_tutorial.bounds import Certificate, Line, Premise, Term, rounding
from adam_tutorial.optimizer import Optimizer, State
from adam_tutorial.trees import Array


# %% chapters/beyond_convexity.ipynb#beyond-outcomes
@dataclass(frozen=True, eq=False)
class Outcomes:
    """Every way that T steps can go, if each draws one of K examples: K**t rows after t steps.

    x      T + 1 arrays (K**t, d)          the points after t = 0 ... T steps, equally likely
    g      T arrays (K**(t - 1), K, d)     each example's gradient at each point before step t
    slots  T dictionaries of (K**t, d)     what the method remembers after step t
    """

    method: Optimizer
    problem: Any
    x: tuple[Array, ...]
    g: tuple[Array, ...]
    slots: tuple[dict[str, Array], ...]

    @property
    def steps(self) -> int:
        return len(self.g)

    @property
    def largest(self) -> float:
        """The largest size of a coordinate of any gradient."""
        return max(float(np.max(np.abs(g))) for g in self.g)

    def mean_squares(self) -> Array:
        """(T,): the expectation of the squared norm of F's gradient at x_0 ... x_{T-1}."""
        return np.array([np.mean(np.sum(g.mean(axis=1) ** 2, axis=1)) for g in self.g])


# %% chapters/beyond_convexity.ipynb#beyond-enumerate
def outcomes(method: Optimizer, problem: Any, steps: int) -> Outcomes:
    """Run an elementwise method through all outcomes of `steps` random draws, from problem.start.

    problem  has `start`, (d,), and `slopes(x)`, from points (n, d) to all examples' gradients
             (n, K, d); for `defossez_proof` also `value(x)`, (n,), `smoothness` L and `least` F_*

    ValueError where there would be more than four million numbers a step.
    """
    start = np.atleast_2d(np.array(problem.start, float))
    x, gs, slots, state = [start], [], [], method.init(start)
    for _ in range(steps):
        g = np.asarray(problem.slopes(x[-1]), float)
        if g.size > 2**22:
            raise ValueError(f"{steps} draws of {g.shape[1]} examples: too many outcomes to list.")
        held = {k: np.repeat(slot, g.shape[1], axis=0) for k, slot in state.slots.items()}
        state = State(state.t, held, dict(state.scalars))
        here = np.repeat(x[-1], g.shape[1], axis=0)
        theta, state = method.update(here, g.reshape(here.shape), state)
        x.append(theta)
        gs.append(g)
        slots.append(dict(state.slots))
    return Outcomes(method, problem, tuple(x), tuple(gs), tuple(slots))


# %% chapters/beyond_convexity.ipynb#beyond-scales
@dataclass(frozen=True)
class _Scales:
    """What tells Adagrad from Adam in the proof: Adagrad forgets nothing and corrects nothing."""

    method: Any

    def __post_init__(self) -> None:
        if type(self.method) not in (Adam, Adagrad):
            raise TypeError(f"method: expected Adam(beta1=0) or Adagrad, got {self.method!r}.")

    @property
    def beta2(self) -> float:
        return self.method.beta2 if isinstance(self.method, Adam) else 1.0

    @property
    def share(self) -> float:
        """1 - beta2, the share of the latest square; 1 where nothing fades."""
        return 1 - self.beta2 if self.beta2 < 1 else 1.0

    def mass(self, t: int) -> float:
        """M_t, the sum of the weights after t steps."""
        return (1 - self.beta2**t) / self.share if self.beta2 < 1 else float(t)

    def root(self, t: int) -> float:
        """What the correction multiplies alpha and eps by: sqrt(M_t) for Adam."""
        return math.sqrt(self.mass(t)) if self.beta2 < 1 else 1.0

    def faded(self, slots: dict[str, Array]) -> Array:
        """s, the sum of squares that fades."""
        return slots["v"] / self.share if self.beta2 < 1 else slots["a"]

    def reach(self, steps: int) -> float:
        """By how much the longest denominator outgrows R times the correction."""
        return 1.0 if self.beta2 < 1 else math.sqrt(steps)


# %% chapters/beyond_convexity.ipynb#beyond-bound
_SOURCE = "Defossez et al. 2022, re-derived for eps outside the root"


def defossez_bound(
    method: Optimizer, steps: int, *, size: int, largest: float, smoothness: float, gap: float
) -> tuple[Term, ...]:
    """What the theorem promises for the mean over `steps` steps of E |grad F|**2, term by term.

    method      Adam with beta1 = 0, or Adagrad, at a constant lr and eps > 0
    size        d, the number of coordinates
    largest     no coordinate of a gradient is larger than this in size; R = largest + eps
    smoothness  L, the Lipschitz constant of F's gradient
    gap         F(x_0) - F_*
    """
    scales, now = _Scales(method), method.hyper(1)
    lr, eps, R = now["lr"], now["eps"], largest + now["eps"]
    reach = scales.reach(steps)
    C = 2 * size * R**2 / math.sqrt(scales.share) + lr * size * R * smoothness / scales.share
    mass = 1 / scales.share if scales.beta2 < 1 else float(steps)
    start = 2 * R * reach * gap / (lr * steps)
    memory = C * reach / steps * math.log1p(mass * R**2 / eps**2)
    return (
        Term("start", start, r"2R\Delta / (\alpha T)", _SOURCE),
        Term("memory", memory, r"C \ln(1 + R^2 / ((1-\beta_2) \epsilon^2)) / T", _SOURCE),
        Term("floor", -C * reach * math.log(scales.beta2), r"-C \ln \beta_2", _SOURCE),
    )


# %% chapters/beyond_convexity.ipynb#beyond-certificate
def _promise(runs: Outcomes) -> tuple[Term, ...]:
    return defossez_bound(
        runs.method, runs.steps, size=runs.x[0].size, largest=runs.largest,
        smoothness=runs.problem.smoothness, gap=_gap(runs),
    )  # fmt: skip


def _gap(runs: Outcomes) -> float:
    return float(runs.problem.value(runs.x[0]).item()) - float(runs.problem.least)


def defossez_certificate(runs: Outcomes) -> Certificate:
    """The theorem applied to all outcomes of a few steps, with R taken from the gradients met."""
    rates = [runs.method.hyper(t)["lr"] for t in range(1, runs.steps + 1)]
    premises = (
        Premise("beta1 = 0", getattr(runs.method, "beta1", 0.0), 0.0, _SOURCE),
        Premise("lr is constant", max(rates) - min(rates), 0.0, _SOURCE),
    )
    measured = runs.mean_squares()
    terms, mean = _promise(runs), math.fsum(measured) / runs.steps
    error = rounding(measured / runs.steps, [term.value for term in terms])
    return Certificate("small gradients without convexity", terms, premises, mean, error)


# %% chapters/beyond_convexity.ipynb#beyond-lines
def _tightest(name: str, latex: str, left: Any, right: Any, *summands: Any) -> Line:
    """Of many inequalities left <= right the one that is violated, or else has the least room."""
    sizes = sum(np.abs(each) for each in summands)
    left, right, sizes = (np.ravel(each) for each in np.broadcast_arrays(left, right, sizes))
    apart = np.full_like(sizes, np.inf)  # 0 <= 0 is no news
    at = np.argmin(np.divide(right - left, sizes, out=apart, where=sizes > 0))
    error = 2.0**-46 * sizes  # 64 units of the last place
    return Line(name, latex, float(left[at]), float(right[at]), float(error[at]), _SOURCE)


def _worst(lines: list[Line]) -> Line:
    """One line for all steps: a violated one if there is one, else the one with the least room."""
    order = ("violated", "undecided", "holds")

    def room(line: Line) -> tuple[int, float]:
        return order.index(line.verdict), line.slack / line.error if line.error else math.inf

    return min(lines, key=room)


# %% chapters/beyond_convexity.ipynb#beyond-proof
def defossez_proof(runs: Outcomes) -> list[Line]:
    """The lines of the theorem's proof, each in its tightest case over steps, histories, coordinates."""
    scales, L, T = _Scales(runs.method), runs.problem.smoothness, runs.steps
    now = runs.method.hyper(1)
    R, eps = runs.largest + now["eps"], now["eps"]
    steps = [_step_lines(runs, t, R) for t in range(1, T + 1)]
    shares, total = _shares(runs), scales.faded(runs.slots[-1])
    limit, fading = np.log1p(total / eps**2), -T * math.log(scales.beta2)
    rate, reach = now["lr"] / math.sqrt(scales.share), scales.reach(T)
    cost = (rate * R + rate**2 * L / 2) * float(np.mean(shares.sum(axis=1)))
    gained = now["lr"] / (2 * R * reach) * math.fsum(runs.mean_squares())
    terms = [term.value for term in _promise(runs)]
    mean = math.fsum(runs.mean_squares()) / T
    return [
        *(_worst(list(each)) for each in zip(*steps, strict=True)),
        _tightest("faded sum", r"\sum g^2/(\epsilon^2+s) \le \ln(1+s_T/\epsilon^2) - T\ln\beta_2",
                  shares, limit + fading, shares, limit, fading),
        _tightest("all steps", r"\frac{\alpha}{2R} \sum \mathrm{E} \lVert\nabla F\rVert^2 \le \Delta + \dots",
                  gained, _gap(runs) + cost, gained, _gap(runs), cost),
        _tightest("theorem", r"\frac1T \sum \mathrm{E} \lVert\nabla F\rVert^2 \le \dots",
                  mean, sum(terms), *terms),
    ]  # fmt: skip


# %% chapters/beyond_convexity.ipynb#beyond-steps
def _step_lines(runs: Outcomes, t: int, R: float) -> tuple[Line, Line, Line]:
    """The three lines of step t: almost downhill, the denominators, smoothness."""
    scales, now, g = _Scales(runs.method), runs.method.hyper(t), runs.g[t - 1]
    root = scales.root(t)
    e, rate = now["eps"] * root, now["lr"] * root
    s = scales.faded(runs.slots[t - 1]).reshape(g.shape)
    G, square = g.mean(axis=1), (g * g).mean(axis=1)
    old = scales.beta2 * scales.faded(runs.slots[t - 2]) if t > 1 else 0.0
    fixed = np.sqrt(old + square) + e  # sqrt(s_tilde) + e
    D = np.sqrt(s) + e
    toward, latest = (G[:, None] * g / D).mean(axis=1), ((g / D) ** 2).mean(axis=1)
    kept, lost = G * G / (2 * fixed), np.sqrt(square) * latest
    before = runs.problem.value(runs.x[t - 1])
    after = runs.problem.value(runs.x[t]).reshape(g.shape[:2]).mean(axis=1)
    moved = -rate * toward.sum(axis=1)
    bent = rate**2 * runs.problem.smoothness / 2 * latest.sum(axis=1)
    return (
        _tightest("almost downhill", r"G^2/2(\sqrt{\tilde s}+e) - \sigma \mathrm{E}[g^2/D^2] \le \mathrm{E}[Gg/D]",
                  kept - lost, toward, kept, lost, G * np.abs(g / D).mean(axis=1)),
        _tightest("denominators", r"\sqrt{\tilde s} + \epsilon_t \le R \sqrt{M_t}",
                  fixed, R * math.sqrt(scales.mass(t)), fixed),
        _tightest("smoothness", r"\mathrm{E} F(x_t) \le F(x_{t-1}) - \alpha_t \mathrm{E}\langle G, g/D \rangle + \dots",
                  after, before + moved + bent, before, moved, bent, 1.0),
    )  # fmt: skip


# %% chapters/beyond_convexity.ipynb#beyond-shares
def _shares(runs: Outcomes) -> Array:
    """(K**T, d): for each history the sum over t of g_t**2 / (eps**2 + s_t)."""
    scales = _Scales(runs.method)
    eps = scales.method.eps
    total = np.zeros_like(runs.x[0])
    for g, slots in zip(runs.g, runs.slots, strict=True):
        s = scales.faded(slots)
        total = np.repeat(total, g.shape[1], axis=0) + (g * g).reshape(s.shape) / (eps**2 + s)
    return total


# %% chapters/beyond_convexity.ipynb#beyond-critical
def critical_rate(curvature: float, beta1: float = 0.9, eps: float = 1e-8) -> float:
    """The lr below which Adam's linear recursion at a minimum is stable, and above which it is not.

    curvature  the largest eigenvalue of the Hessian there; eps stands outside the root

    [Bock & Weiss 2019; re-derived]
    """
    if not (curvature > 0 and 0 <= beta1 < 1 and eps >= 0):
        raise ValueError(
            f"expected curvature > 0, 0 <= beta1 < 1 and eps >= 0, got {curvature}, {beta1}, {eps}."
        )
    return 2 * (1 + beta1) / (1 - beta1) * eps / curvature
