"""Adam's convergence theorem of 2015 as a program: its method, its bound, its proof line by line.

`kingma_ba_bound` computes the bound of a game with every hypothesis as a premise, `kingma_ba_proof` the
two sides of each inequality of the printed proof, and `repaired_proof` those that hold. All of them take
any game of AnnealedAdam or Adam, played in floats or in intervals.
"""

# Generated from chapters/theorem_of_2015.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from adam_tutorial.adam import Adam
from adam_tutorial.bounds import (
    Certificate,
    Line,
    Premise,
    Term,
    as_number,
    as_point,
    beyond_rounding,
    convexity,
    falling_rates,
    game_rates,
    largest,
    own_points,
    regret_of,
    rounding,
    run_error,
    total,
)
from adam_tutorial.figures import figure
from adam_tutorial.intervals import larger, lower, upper
from adam_tutorial.online import Cycle, Game, Regret
from adam_tutorial.optimizer import Optimizer, Schedule, State
from adam_tutorial.trees import Array, Tree, map_leaves


# %% chapters/theorem_of_2015.ipynb#annealed-rule
@dataclass(frozen=True)
class _Annealed(Optimizer):
    """The hyper-parameters of AnnealedAdam, and the norm of its steps."""

    lr: Schedule = 1e-3  # alpha_t; alpha / sqrt(t) in the theorem
    beta1: float = 0.9  # memory of the mean in the first step, in [0, 1)
    beta2: float = 0.999  # memory of the square, in [0, 1)
    eps: float = 0.0  # outside the root; the theorem has none
    decay: float = 0.999  # lambda: what a step leaves of beta1; at 1 this is Adam
    slots = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {self.decay}")

    def metric(self, state: State) -> Tree:
        """H = (sqrt(v_hat) + eps) / lr, and 1 / lr where that is 0."""
        lr, mass = self.hyper(state.t)["lr"], 1 - self.beta2**state.t
        roots = map_leaves(lambda v: np.sqrt(v / mass) + self.eps, state.v)
        return map_leaves(lambda root: np.where(root > 0, root, 1.0) / lr, roots)


# %% chapters/theorem_of_2015.ipynb#annealed-class
class AnnealedAdam(_Annealed):
    """Adam with the fading momentum of its theorem, beta1 * decay**(t - 1) [Kingma & Ba 2015, section 4].

    Slots m and v as in `Adam`, and its two corrections as printed. There is no eps unless one is
    given; a step is 0 where all gradients so far were 0. ValueError unless 0 < decay <= 1.
    """

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, v: Any, *,
        lr: float, beta1: float, beta2: float, eps: float, decay: float, t: int,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        beta1_t = beta1 * decay ** (t - 1)
        m = beta1_t * m + (1 - beta1_t) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        root = np.sqrt(v_hat) + eps
        theta = theta - lr * m_hat / np.where(
            root > 0, root, 1.0
        )  # 0 / 1 before the first gradient
        return theta, m, v


# %% chapters/theorem_of_2015.ipynb#walled-cycle
@dataclass(frozen=True)
class WalledCycle(Cycle):
    """f_t(x) = slope_t x + max(0, |x| - 1): a cycle of slopes on the whole line, with a wall at -1 and 1.

    Convex, with slopes of size at most `steepest` everywhere. `loss` and `grad` take floats and
    intervals; an interval that holds a kink is Undecided.
    """

    slopes: tuple[float, ...] = (3.0, -1.0, -1.0)
    start: float = 0.875

    @property
    def steepest(self) -> float:
        """The largest |f_t'| on the whole line."""
        return max(map(abs, self.slopes)) + 1

    def loss(self, x: Any, t: int = 1) -> Any:
        return super().loss(x, t) + larger(abs(x) - 1, 0.0)

    def grad(self, x: Any, t: int = 1) -> Any:
        wall = 0.0 if abs(x) <= 1 else 1.0 if x > 0 else -1.0
        return super().grad(x, t) + wall

    def total(self, x: Any, rounds: int) -> Any:
        return super().total(x, rounds) + rounds * larger(abs(x) - 1, 0.0)

    def best(self, rounds: int, domain: Any) -> Any:
        """The smallest sum is at a wall, or at an end of the domain, or nowhere."""
        slope = float(self.slope(rounds))
        if abs(slope) > rounds:  # steeper than the walls
            return domain.corner(slope)
        return domain.project(-float(np.sign(slope)))


# %% chapters/theorem_of_2015.ipynb#theorem-letters
@dataclass(eq=False)
class _Letters:
    """The letters of the theorem for a game of AnnealedAdam or Adam, as floats or as intervals."""

    game: Game
    against: Any = None

    def __post_init__(self) -> None:
        method: Any = self.game.method
        if not isinstance(method, (Adam, AnnealedAdam)):
            raise TypeError(
                "expected a game of AnnealedAdam, or of Adam, whose momentum does not fade: the theorem"
                f" speaks of no other method. Got one of {type(method).__name__}."
            )
        met = upper(largest(np.abs(self.game.g)))

        def number(value: Any) -> Any:
            return as_number(self.game, value)

        self.alpha, self.eps = number(self.game.rates()[0]), number(method.eps)
        self.beta1, self.beta2 = number(method.beta1), number(method.beta2)
        self.decay = number(getattr(method, "decay", 1.0))  # lambda
        self.steepest = number(getattr(self.game.problem, "steepest", met))  # G_inf
        self.gamma = _over(self.beta1 * self.beta1, np.sqrt(self.beta2))


# %% chapters/theorem_of_2015.ipynb#theorem-helpers
def _over(a: Any, b: Any) -> Any:
    """a / b, and infinity where b is not positive."""
    return a / b if b > 0 else math.inf


def _before(rows: Array) -> Array:
    """The rows of the rounds before; zeros before the first."""
    return np.concatenate([0 * rows[:1], rows[:-1]])


def _per(values: Array, weights: Array) -> Array:
    """values / weights, with 0 / 0 = 0."""
    return values / np.where(weights > 0, weights, 1.0)


def _sides(points: Array) -> list[float]:
    """The sides of the smallest box around some points, each rounded up."""
    spans = [upper(largest(each)) + upper(largest(-each)) for each in np.transpose(points)]
    return [math.nextafter(span, math.inf) if span > 0 else 0.0 for span in spans]


# %% chapters/theorem_of_2015.ipynb#theorem-sequences
class _Sequences(_Letters):
    """The sequences of the proof, one row a round, one column a coordinate."""

    def powers(self, base: Any, first: int) -> Array:
        """(T, 1): base**first, base**(first + 1), ..."""
        return np.array([base**k for k in range(first, first + self.game.rounds)])[:, None]

    @cached_property
    def momentum(self) -> Array:
        """beta_{1,t}."""
        return self.beta1 * self.powers(self.decay, 0)

    @cached_property
    def rho(self) -> Array:
        return self.momentum / (1 - self.momentum)

    @cached_property
    def c(self) -> Array:
        """What the proof pulls out of its sum."""
        return (1 - self.powers(self.beta1, 1)) / (1 - self.momentum)

    @cached_property
    def m_hat(self) -> Array:
        return self.game.slots["m"] / (1 - self.powers(self.beta1, 1))

    @cached_property
    def root(self) -> Array:
        """sqrt(v_hat), and eps where there is one."""
        return np.sqrt(self.game.slots["v"] / (1 - self.powers(self.beta2, 1))) + self.eps

    @cached_property
    def s(self) -> Array:
        """sqrt(v_hat_t) / alpha_t, the weights of the squared distances; 0 before the first gradient."""
        return self.game.metric * (self.root > 0)

    @cached_property
    def harmonic(self) -> Array:
        """(T, 1): 1 / t."""
        return as_number(self.game, 1.0) / np.arange(1, self.game.rounds + 1)[:, None]


# %% chapters/theorem_of_2015.ipynb#theorem-distances
class _Parts(_Sequences):
    """What a game cost, and its distances to theta*."""

    @cached_property
    def cost(self) -> Regret:
        return regret_of(self.game, self.against)

    @cached_property
    def d(self) -> Array:
        """(T + 1, d): theta_t - theta*."""
        return self.game.x - as_point(self.game, self.cost.against)

    @cached_property
    def spread(self) -> tuple[Any, Any]:
        """D_inf and D**2 for the iterates and theta*: the side and the squared diagonal of a box."""
        points = np.concatenate([self.game.x[:-1], as_point(self.game, self.cost.against)[None]])
        sides = [as_number(self.game, side) for side in _sides(points)]
        return largest(sides), sum(side * side for side in sides)

    @cached_property
    def norms(self) -> Array:
        """(d,): the Euclidean norm of all gradients of each coordinate."""
        return np.sqrt(np.sum(self.game.g * self.game.g, axis=0))


def gammas(game: Game) -> Array:
    """(T, d): Gamma_t = sqrt(v_hat_t) / alpha_t - sqrt(v_hat_{t-1}) / alpha_{t-1}, the last with v_hat_0 = 0."""
    s = _Sequences(game).s
    return s - _before(s)


# %% chapters/theorem_of_2015.ipynb#kingma-ba-terms
SOURCE = "Kingma & Ba 2015, Theorem 4.1"
READINGS = ("section", "appendix")  # the third term has 1 - beta1 below the line, or beta1
_LATEX = (
    r"\frac{D^2}{2 \alpha (1-\beta_1)} \sum_i \sqrt{T \hat v_{T,i}}",
    r"\frac{\alpha (1+\beta_1) G_\infty}{(1-\beta_1) \sqrt{1-\beta_2} (1-\gamma)^2} \sum_i \Vert g_{1:T,i} \Vert",
    r"\sum_i \frac{D_\infty^2 G_\infty \sqrt{1-\beta_2}}{2 \alpha (1-\beta_1) (1-\lambda)^2}",
)


def _terms(p: Any, reading: str) -> tuple[Term, ...]:
    """The three terms, with D and D_inf that reach to theta*."""
    if reading not in READINGS:
        raise ValueError(f"reading: expected one of {READINGS}, got {reading!r}.")
    divisor = p.beta1 if reading == "appendix" else 1 - p.beta1
    distance = total(p.s[-1]) * p.spread[1] / (2 * (1 - p.beta1))
    steps = p.alpha * (1 + p.beta1) * p.steepest * total(p.norms)
    bracket = (1 - p.beta1) * np.sqrt(1 - p.beta2) * _gap(p) * _gap(p)
    momentum = len(p.norms) * p.spread[0] * p.spread[0] * p.steepest * np.sqrt(1 - p.beta2)
    series = 2 * p.alpha * divisor * (1 - p.decay) ** 2
    values = distance, _over(steps, bracket), _over(momentum, series)
    third = _LATEX[2].replace(r"(1-\beta_1)", r"\beta_1") if reading == "appendix" else _LATEX[2]
    rows = zip(("distance", "steps", "momentum"), values, (*_LATEX[:2], third), strict=True)
    return tuple(Term(*row, SOURCE) for row in rows)


# %% chapters/theorem_of_2015.ipynb#kingma-ba-follows
def _gap(p: Any) -> Any:
    """1 - gamma, and 0 where gamma is too large for the theorem."""
    return 1 - p.gamma if p.gamma < 1 else 0.0


def _follows(p: Any) -> tuple[Premise, ...]:
    """The game is one of Algorithm 1: its averages, its divisor, its step."""
    game, where, m, v = (
        p.game,
        "Kingma & Ba 2015, Algorithm 1",
        p.game.slots["m"],
        p.game.slots["v"],
    )
    old_m, old_v = p.momentum * _before(m), p.beta2 * _before(v)
    new_m, new_v = (1 - p.momentum) * game.g, (1 - p.beta2) * game.g * game.g
    root = p.s * game_rates(game)[:, None]
    x, y = game.metric * game.x[:-1], game.metric * game.y
    rows = {
        "m_t averages the gradients": (m - old_m - new_m, m, old_m, new_m),
        "v_t averages their squares": (v - old_v - new_v, v, old_v, new_v),
        "H_t = sqrt(v_hat_t) / alpha_t": (root - p.root, root, p.root),
        "each step is -m_hat_t / H_t": (p.m_hat - (x - y), p.m_hat, x, y),
    }
    return tuple(
        Premise(name, beyond_rounding(np.abs(off), *sizes), 0.0, where)
        for name, (off, *sizes) in rows.items()
    )


# %% chapters/theorem_of_2015.ipynb#kingma-ba-bound
_BELOW_ONE = math.nextafter(1.0, 0.0)


@np.errstate(all="ignore")  # H_t is infinite where lr is 0
def kingma_ba_bound(game: Game, against: Any = None, reading: str = "section") -> Certificate:
    """Theorem 4.1 of Kingma & Ba 2015 for a game of AnnealedAdam, each of its hypotheses a premise.

    G_inf is `problem.steepest`, a bound on all gradients everywhere; without one, the largest that was
    met, a weaker hypothesis than the paper's. D and D_inf reach to theta*, as the proof needs; for d > 1
    D is the diagonal of a box around all points. `reading`: the third term has 1 - beta1 below the
    line ("section"), or beta1 ("appendix").
    """
    return _bound(_Parts(game, against), reading)


def _bound(p: Any, reading: str = READINGS[0]) -> Certificate:
    game, terms = p.game, _terms(p, reading)
    error = p.cost.error + run_error(game, as_point(game, p.cost.against))
    error += rounding([term.value for term in terms])
    return Certificate(SOURCE, terms, _premises(p), p.cost.value, error)


# %% chapters/theorem_of_2015.ipynb#kingma-ba-premises
def _premises(p: Any) -> tuple[Premise, ...]:
    game, where = p.game, "Kingma & Ba 2015, section 4"
    met, moved = lower(largest(np.abs(game.g))), lower(largest(np.abs(game.y - game.x[1:])))
    return (
        convexity(game, p.cost.against, *own_points(game)),
        Premise("|g_t| <= G_inf", met, upper(p.steepest), where),
        Premise("iterates within D_inf", max(_sides(game.x[:-1])), upper(p.spread[0]), where),
        Premise("D_inf finite", upper(p.spread[0]), float(np.finfo(float).max), where),
        Premise("beta1**2 / sqrt(beta2) < 1", upper(p.gamma), _BELOW_ONE, where),
        falling_rates(game),
        *_follows(p),
        Premise("beta_{1,t} = beta1 lambda**(t-1), lambda < 1", upper(p.decay), _BELOW_ONE, where),
        Premise("no epsilon", upper(p.eps), 0.0, where),
        Premise("no projection", moved, 0.0, "Kingma & Ba 2015, Algorithm 1"),
    )


# %% chapters/theorem_of_2015.ipynb#kingma-ba-average
@np.errstate(all="ignore")  # H_t is infinite where lr is 0
def kingma_ba_average(game: Game, against: Any = None, reading: str = "section") -> Certificate:
    """The corollary: R(T) / T is at most a constant over sqrt(T), and a smaller term.

    From the theorem by sqrt(v_hat) <= G_inf and |g_{1:T,i}| <= G_inf sqrt(T).
    """
    p = _Parts(game, against)
    whole = _bound(p, reading)
    most, rounds = len(p.norms) * p.steepest, game.rounds
    root = np.sqrt(as_number(game, rounds))
    scales = (_over(most, total(p.root[-1])), _over(most * root, total(p.norms)), 1.0)
    terms = tuple(
        replace(term, value=term.value * scale / rounds)
        for term, scale in zip(whole.terms, scales, strict=True)
    )
    average, error = whole.measured / rounds, whole.error / rounds
    error += rounding([term.value for term in terms])
    return Certificate("Kingma & Ba 2015, the corollary", terms, whole.premises, average, error)


# %% chapters/theorem_of_2015.ipynb#kingma-ba-lines
def _worst(left: Any, right: Any) -> tuple[Any, Any, float]:
    """The two sides where left exceeds right most, or comes nearest to it, and an error for them."""
    left, right = np.broadcast_arrays(np.asarray(left), np.asarray(right))
    left, right = left.ravel(), right.ravel()
    at = int(np.argmax([float(a) - float(b) for a, b in zip(left, right, strict=True)]))
    return left[at], right[at], rounding(left[at], right[at])


def _drift(p: Any, weights: Array) -> tuple[Any, float]:
    """sum of weights_t (d_t**2 - d_{t+1}**2), and how far rounding may have moved it."""
    squares = p.d * p.d
    rough = weights * np.abs(p.d[1:]) * np.abs(p.game.x[1:])
    error = rounding(weights * squares[:-1], weights * squares[1:], rough)
    return total(weights * (squares[:-1] - squares[1:])), error


# %% chapters/theorem_of_2015.ipynb#kingma-ba-opening
def _opening(p: Any) -> list[Line]:
    """What both proofs begin with: convexity, the square, Young's inequality."""
    cost, off = p.cost.value, p.cost.error
    products = p.game.g * p.d[:-1]
    linear, blur = total(products), rounding(products)
    drift, shake = _drift(p, p.c * p.s)
    cross = -p.rho * _before(p.game.slots["m"]) * p.d[:-1]
    step = p.c * _per(p.m_hat * p.m_hat, p.s)
    pull = p.rho * _before(p.s) * p.d[:-1] * p.d[:-1]
    push = p.rho * _per(_before(p.game.slots["m"]) ** 2, _before(p.s))
    spread = shake / 2 + blur + rounding(cross, step)
    square = r"\sum g_t d_t \leq \frac{1}{2}\sum c_t s_t (d_t^2 - d_{t+1}^2) - \sum \rho_t m_{t-1} d_t + \frac{1}{2}\sum c_t \hat m_t^2 / s_t"
    young = r"-\sum \rho_t m_{t-1} d_t \leq \frac{1}{2}\sum \rho_t (s_{t-1} d_t^2 + m_{t-1}^2 / s_{t-1})"
    return [
        Line("convexity", r"R(T) \leq \sum g_t d_t", cost, linear, off + blur),
        Line(
            "the step, squared", square, linear, drift / 2 + total(cross) + total(step) / 2, spread
        ),
        Line(
            "Young's inequality",
            young,
            total(cross),
            total(pull + push) / 2,
            rounding(cross, pull, push),
        ),
    ]


# %% chapters/theorem_of_2015.ipynb#kingma-ba-telescope
def _telescope(p: Any) -> list[Line]:
    """From the squared distances to the first term."""
    squares, gamma = (p.d * p.d)[:-1], p.s - _before(p.s)
    (inner, blur), (outer, shake) = _drift(p, p.c * p.s), _drift(p, p.s)
    outer, shake = outer / (1 - p.beta1), shake / (1 - upper(p.beta1))
    parts, off = total(gamma * squares), rounding(p.s * squares)
    most, apart = total(p.s[-1]) * p.spread[1], math.hypot(*_sides(p.game.x[:-1]))
    far = np.sqrt(np.sum(squares, axis=1))
    pulled = (
        r"\sum c_t s_t (d_t^2 - d_{t+1}^2) \leq \frac{1}{1-\beta_1} \sum s_t (d_t^2 - d_{t+1}^2)"
    )
    by_parts = r"\sum s_t (d_t^2 - d_{t+1}^2) \leq \sum \Gamma_t d_t^2"
    return [
        Line("1/(1 − β₁ₜ) out of the sum", pulled, inner, outer, blur + shake),
        Line("summation by parts", by_parts, outer * (1 - p.beta1), parts, 2 * off),
        Line("Γₜ ≥ 0 in each round", r"0 \leq \Gamma_t", *_worst(-gamma, 0.0)),
        Line(
            "θ* within D of the iterates",
            r"\Vert \theta_t - \theta^* \Vert \leq D",
            *_worst(far, apart),
        ),
        Line("the sum of Γₜ dₜ²", r"\sum \Gamma_t d_t^2 \leq D^2 \sum_i s_{T,i}", parts, most, off),
    ]


# %% chapters/theorem_of_2015.ipynb#kingma-ba-lemmas
def _lemmas(p: Any) -> list[Line]:
    """From the steps to the second term."""
    sizes = np.sum(np.abs(p.game.g) * np.sqrt(p.harmonic), axis=0)
    squares = _per(p.m_hat * p.m_hat, p.s)
    steps = np.sum(squares, axis=0) / p.alpha
    push = p.rho * _per(_before(p.game.slots["m"]) ** 2, _before(p.s))
    both = total(push + p.c * squares), (1 + p.beta1) / (1 - p.beta1) * total(squares)
    stated = _over(2 * p.norms, np.sqrt(1 - p.beta2) * _gap(p))
    used = _over(2 * p.steepest * p.norms, np.sqrt(1 - p.beta2) * _gap(p) * _gap(p))
    weights = (1 - np.multiply.accumulate(p.momentum)) / (1 - p.powers(p.beta1, 1))
    mass = r"\frac{1 - \prod \beta_{1,i}}{1 - \beta_1^t} \leq 1"
    merged = r"\sum \rho_t m_{t-1}^2 / s_{t-1} + c_t \hat m_t^2 / s_t \leq \frac{1+\beta_1}{1-\beta_1} \sum \hat m_t^2 / s_t"
    lemma = r"\sum \hat m_t^2 / \sqrt{t \hat v_t} \leq \frac{2}{(1-\gamma)\sqrt{1-\beta_2}} \Vert g_{1:T} \Vert"
    return [
        Line("the two sums of steps", merged, *both, rounding(*both)),
        Line("the weights of m̂ₜ add up to 1", mass, *_worst(weights, 1.0)),
        Line(
            "Lemma 10.3",
            r"\sum |g_t| / \sqrt{t} \leq 2 G_\infty \Vert g_{1:T} \Vert",
            *_worst(sizes, 2 * p.steepest * p.norms),
        ),
        Line("Lemma 10.4, as stated", lemma, *_worst(steps, stated)),
        Line(
            "Lemma 10.4, as used",
            lemma.replace("2}{(1-\\gamma)", "2 G_\\infty}{(1-\\gamma)^2"),
            *_worst(steps, used),
        ),
    ]


# %% chapters/theorem_of_2015.ipynb#kingma-ba-proof
def _momentum(p: Any) -> list[Line]:
    """From the distances that momentum brings in to the third term."""
    left = p.rho * _before(p.s) * p.d[:-1] * p.d[:-1]
    right, limit = p.rho * p.s, p.steepest * np.sqrt(1 - p.beta2)
    most = p.spread[0] * p.spread[0] * total(right)
    roots = p.rho / np.sqrt(p.harmonic)
    series = total(roots), _over(1.0, (1 - p.beta1) * (1 - p.decay) ** 2)
    shift = r"\sum \rho_t s_{t-1} d_t^2 \leq D_\infty^2 \sum \rho_t s_t"
    sums = r"\sum \rho_t \sqrt{t} \leq \frac{1}{(1-\beta_1)(1-\lambda)^2}"
    height = r"\sqrt{\hat v_t} \leq G_\infty \sqrt{1-\beta_2}"
    return [
        Line(
            "the momentum's distances",
            shift,
            total(left),
            most,
            rounding(left, right * upper(p.spread[0]) ** 2),
        ),
        Line("the size of √v̂ₜ", height, *_worst(p.root, limit)),
        Line("the series in λ", sums, *series, rounding(roots)),
    ]


@np.errstate(all="ignore")  # H_t is infinite where lr is 0
def kingma_ba_proof(game: Game, against: Any = None) -> list[Line]:
    """The printed proof of Theorem 4.1, run on a game of AnnealedAdam: each inequality, in order.

    A line about each round, or each coordinate, shows the one where it holds least. Sums run over
    rounds and coordinates. D reaches to theta*, except in the line that asks whether it does.
    """
    p = _Parts(game, against)
    whole = _bound(p)
    name, latex = "the theorem", r"R(T) \leq \mathrm{the\ three\ terms}"
    last = Line(name, latex, whole.measured, whole.bound, whole.error)
    lines = [*_opening(p), *_telescope(p), *_lemmas(p), *_momentum(p), last]
    return [replace(line, source=SOURCE) for line in lines]


# %% chapters/theorem_of_2015.ipynb#draw-proof
MARKS = {"holds": ("✓", "#009E73"), "violated": ("✗", "#D55E00"), "undecided": ("=", "#0072B2")}


def _shown(number: Any) -> str:
    return f"{float(number):,.0f}" if abs(float(number)) >= 1000 else f"{float(number):.4g}"


def draw_proof(lines: list[Line], claim: str) -> Any:
    """A proof as a list, one row a line: a tick, a cross, or = where both sides agree within rounding.

    After the first cross the text is pale: what follows no longer follows. Returns (figure, axes).
    """
    fig, axes = figure(claim, x="", y="", height=0.7 + 0.27 * len(lines))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(lines) - 0.4, -1.4))
    heads = ((0.0, "line", "left"), (0.76, "left side", "right"), (0.98, "right side", "right"))
    for x, head, side in heads:
        axes.text(x, -1, head, ha=side, va="center", color="0.35", fontsize=9)
    false = [line.verdict == "violated" for line in lines]
    for row, line in enumerate(lines):
        mark, colour = MARKS[line.verdict]
        pale = any(false[:row])
        tone = {"color": "0.45" if pale else "0.0", "va": "center", "fontsize": 9}
        axes.text(0.0, row, mark, color=colour, va="center", fontsize=13, fontweight="bold")
        axes.text(0.05, row, line.name, fontweight="bold" if false[row] else "normal", **tone)
        axes.text(0.76, row, _shown(line.left), ha="right", **tone)
        axes.text(0.79, row, ">" if false[row] else "≤" if mark == "✓" else "=", **tone)
        axes.text(0.98, row, _shown(line.right), ha="right", **tone)
    return fig, axes


# %% chapters/theorem_of_2015.ipynb#repaired-lines
def _risen(p: Any) -> tuple[list[Line], Any]:
    """The telescope with its weights left inside, and the rises of the weights times D_inf**2."""
    weights = p.c * p.s
    change, squares = weights - _before(weights), (p.d * p.d)[:-1]
    drift, shake = _drift(p, weights)
    parts, off = total(change * squares), rounding(weights * squares)
    rises = p.spread[0] * p.spread[0] * total((change + np.abs(change)) / 2)
    blur = off + rounding(weights) * upper(p.spread[0]) ** 2
    by_parts = r"\sum w_t (d_t^2 - d_{t+1}^2) \leq \sum (w_t - w_{t-1}) d_t^2"
    kept = r"\sum (w_t - w_{t-1}) d_t^2 \leq D_\infty^2 \sum (w_t - w_{t-1})^+"
    return [
        Line("by parts, the factors inside", by_parts, drift, parts, shake + off),
        Line("rises counted, falls left out", kept, parts, rises, blur),
    ], rises


def _safe_lemmas(p: Any) -> tuple[list[Line], Any]:
    """Lemmas that hold in place of 10.3 and 10.4, and what they give for the sum of the steps."""
    sizes = np.sum(np.abs(p.game.g) * np.sqrt(p.harmonic), axis=0)
    harmonic = np.sqrt(total(p.harmonic))
    ratio = _over(p.beta1 * p.beta1, p.beta2)
    longest = _over(1.0, np.sqrt((1 - p.beta2) * (1 - ratio))) if ratio < 1 else math.inf
    steps = np.sum(_per(p.m_hat * p.m_hat, p.s), axis=0) / p.alpha
    share = longest / (1 - p.beta1)
    cauchy = r"\sum |g_t| / \sqrt{t} \leq \sqrt{1 + 1/2 + \cdots + 1/T}\ \Vert g_{1:T} \Vert"
    lemma = r"\sum \hat m_t^2 / \sqrt{t \hat v_t} \leq \frac{S}{1-\beta_1} \sum |g_t| / \sqrt{t}"
    return [
        Line("in place of Lemma 10.3", cauchy, *_worst(sizes, harmonic * p.norms)),
        Line("in place of Lemma 10.4", lemma, *_worst(steps, share * sizes)),
    ], share * harmonic * total(p.norms)


# %% chapters/theorem_of_2015.ipynb#repaired-proof
@np.errstate(all="ignore")  # H_t is infinite where lr is 0
def repaired_proof(game: Game, against: Any = None) -> list[Line]:
    """A proof that holds, line by line, and the bound that it gives: all that is left of the theorem.

    For alpha_t = alpha / sqrt(t), lambda < 1 and beta1**2 < beta2; in a box or a ball too. Its first
    term counts every rise of w_t = c_t sqrt(v_hat_t) / alpha_t, and may grow faster than T.
    """
    p = _Parts(game, against)
    (telescope, ahead), (lemmas, steps) = _risen(p), _safe_lemmas(p)
    most, merged = p.steepest + p.eps, _lemmas(p)[0]
    pull = p.rho * _before(p.s) * p.d[:-1] * p.d[:-1]
    series = _over(p.beta1 * p.decay, p.alpha * (1 - p.beta1) * (1 - p.decay) ** 2)
    momentum = len(p.norms) * p.spread[0] * p.spread[0] * most * series
    means = np.abs(p.game.slots["m"]) / (1 - np.multiply.accumulate(p.momentum))
    momentum_latex = r"\sum \rho_t s_{t-1} d_t^2 \leq \frac{\beta_1 \lambda d D_\infty^2 G_\infty}{\alpha (1-\beta_1)(1-\lambda)^2}"
    bound = ahead / 2 + p.alpha * (1 + p.beta1) / (2 * (1 - p.beta1)) * steps + momentum / 2
    return [
        *_opening(p),
        *telescope,
        merged,
        *lemmas,
        Line(
            "the true mean",
            r"|m_t| / (1 - \prod \beta_{1,i}) \leq G_\infty",
            *_worst(means, p.steepest),
        ),
        Line("the size of √v̂ₜ", r"\sqrt{\hat v_t} \leq G_\infty", *_worst(p.root, most)),
        Line("the momentum's distances", momentum_latex, total(pull), momentum, rounding(pull)),
        Line("what remains", r"R(T) \leq \mathrm{three\ terms}", p.cost.value, bound, p.cost.error),
    ]
