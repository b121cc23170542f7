"""The errata: each formula as it was printed is wrong, and its correction is right.

One row for each entry of the page of that name: a question, the original, and the correction. The
question is put to both, and has to tell them apart. Where the package has the formula, the
correction is the package's.
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from adam_tutorial import SGD, Adam, AdaMax, Box, Cycle, Momentum, Nadam, RMSProp, play, regret
from adam_tutorial.adamw import SGDW
from adam_tutorial.bias_correction import corrected_ema
from adam_tutorial.moments import effective_size, ema, ema_weights
from adam_tutorial.nadam import dozat_schedule
from adam_tutorial.nd_adam import NDAdam, inner_products, normalised
from adam_tutorial.wrappers import L2

ROOT = Path(__file__).resolve().parents[1]
B, ONES = Fraction(9, 10), [Fraction(1)] * 8
DRAWS = [Fraction(n, 7) for n in (3, -1, 22, 5, -8, 2, 13, -4)]


class Erratum(NamedTuple):
    """A question, the formula as printed, and the right one; `name` is that of the page's label."""

    name: str
    holds: Callable[[Any], bool]
    printed: Any
    right: Any


def close(left: Any, right: Any, tolerance: float = 1e-12) -> bool:
    return bool(np.all(np.abs(np.asarray(left) - right) <= tolerance))


def moves(method: Any, gradients: Any) -> Any:
    """The way down of each step, from 0."""
    theta = np.zeros_like(gradients[0])
    state, seen = method.init(theta), []
    for g in gradients:
        new, state = method.update(theta, g, state)
        seen.append(theta - new)
    return np.array(seen)


# ---- The article


def counted_from(first: int) -> list[Any]:
    return [m / (1 - B**t) for t, m in enumerate(ema(ONES, B), first) if t]


def is_one(estimates: Iterable[Any]) -> bool:
    return all(estimate == 1 for estimate in estimates)


def sums_from(first: int) -> list[Any]:
    t = range(1, 9)
    return [(1 - B) * sum(B ** (n - i) for i in range(first, n + 1)) for n in t]


MEANS = [Fraction(n) for n in (2, 3, 5, 8, 12, 17, 23, 30)]


def mean_of_the_average(i: int) -> bool:
    zeta = (1 - B) * sum(B ** (8 - k) * (mu - MEANS[-1]) for k, mu in enumerate(MEANS, 1))
    return bool(MEANS[i - 1] * (1 - B**8) + zeta == ema(MEANS, B)[-1])


def total_weights(total: Callable[[int], Any]) -> bool:
    velocity = Fraction(0)
    for t in range(1, 9):
        _, velocity = Momentum.rule(0, Fraction(1), velocity, lr=Fraction(1, 5), momentum=B)  # type: ignore[arg-type]
        if velocity != total(t):
            return False
    return True


def second_moment_weighs(weights: list[Any]) -> bool:
    squares = [g * g for g in DRAWS]
    found = corrected_ema(squares, [B] * 8)[-1]
    return bool(found == sum(w * s for w, s in zip(weights, squares, strict=True)))


def article_adamax(w: Any, g: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return w - 0.002 * g / abs(g)


def package_adamax(w: Any, g: Any) -> Any:
    method = AdaMax()
    return method.update(w, g, method.init(w))[0]


def article_nadam(beta: float, gradients: Any) -> Any:
    m, seen = 0.0 * gradients[0], []
    for t, g in enumerate(gradients, 1):
        m = beta * m + (1 - beta) * g
        seen.append(m / (1 - beta**t) + (1 - beta) * g / (1 - beta**t))
    return np.array(seen)


def package_nadam(beta: float, gradients: Any) -> Any:
    v = np.array(ema(np.square(gradients), 0.999))
    mass = 1 - 0.999 ** np.arange(1, len(gradients) + 1)[:, None]
    return moves(Nadam(1.0, beta1=beta, eps=0.0), gradients) * np.sqrt(v / mass)


def looks_ahead(numerators: Callable[[float, Any], Any]) -> bool:
    noise = np.random.default_rng(0).standard_normal((20, 3))
    without_memory = close(numerators(0.0, noise), noise)
    return without_memory and close(numerators(0.9, np.ones((500, 1)))[-1], 1)


BURST = np.repeat([0.0, 1.0], [5000, 12])[:, None]


def covers_a_burst(bound: float) -> bool:
    return bool(np.abs(moves(Adam(1.0, eps=1e-300), BURST)).max() <= bound)


SLOPE = np.random.default_rng(1).standard_normal((600, 3))
LATE = np.where(np.arange(600)[:, None] < 500, SLOPE, SLOPE / 1024)


def makes_the_same_moves(gradients: Any) -> bool:
    return np.array_equal(*(moves(Adam(1.0, eps=0.0), g) for g in (SLOPE, gradients)))


CYCLE = Cycle((3.0, -1.0, -1.0), start=-1.0)


def of_the_best_point_is_zero(measure: Callable[[Any], float]) -> bool:
    return measure(play(SGD(0.0), CYCLE, 999, Box(-1.0, 1.0))) == 0


def against_each_round(game: Any) -> float:
    return sum(float(loss + abs(g)) for loss, g in zip(game.losses, game.g[:, 0], strict=True))


def vanishes_on_average(lr: Any) -> bool:
    """Gradient descent on losses x in [-1, 1], from 1; without any rate it stays there."""
    T = (100, 10_000)
    means = [regret(play(SGD(lr), Cycle((1.0,)), n, Box(-1.0, 1.0))).value / n for n in T]
    return means[1] <= means[0] / 2


def expands_the_step(weight: Callable[[Any, Any], Any]) -> bool:
    root, eta, g, x, u = (Fraction(*pair) for pair in ((3, 5), (1, 4), (2, 1), (1, 1), (-1, 1)))
    h, after = weight(root, eta), x - eta * g / root
    return bool(h * (after - u) ** 2 == h * (x - u) ** 2 - 2 * g * (x - u) + g * g / h)


def is_true_of_a_constant_rate(sign: Callable[[Any], bool]) -> bool:
    rates = [Fraction(1, n) for n in (2, 2, 3)]
    return all(sign(1 / after - 1 / now) for now, after in zip(rates, rates[1:], strict=False))


def makes_minus_one_best(remainder: int) -> bool:
    slopes = tuple(3.0 if t % 3 == remainder else -1.0 for t in (1, 2, 3))
    return bool(Cycle(slopes).best(3000, Box(-1.0, 1.0)) == -1)


def adam_fails(beta2: float) -> bool:
    method = RMSProp(lr=lambda t: 0.5 / math.sqrt(t), rho=beta2, eps=0.0)
    game = play(method, Cycle((3.0, -1.0, -1.0)), 3000, Box(-1.0, 1.0))
    return regret(game).value >= 2 * 1000 * (3 - 2)


AMSGRAD = """for t in range(1, 2):
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * np.power(g, 2)
    v_hat = np.maximum(v, v_hat)
    w = w - m / np.sqrt(v_hat)
"""


def starts(names: dict[str, float]) -> bool:
    held = {"np": np, "beta_1": 0.9, "beta_2": 0.999, "g": 1.0, "m": 0.0, "v": 0.0, "w": 0.0}
    held |= names
    try:
        exec(AMSGRAD, held)
    except NameError:
        return False
    return close(held["w"], -0.1 / math.sqrt(0.001))


def article_eps(g: float) -> float:
    return g / math.sqrt(g * g + 1e-8)


def package_eps(g: float) -> float:
    return float(moves(Adam(1.0, eps=1e-8), np.full((1, 1), g))[0, 0])


def steps_by_a_learning_rate(step: Callable[[float], float]) -> bool:
    return close(step(1e-5), 1, tolerance=0.01)


def is_weight_decay(strength: float) -> bool:
    """Of 0.05 a step, at the learning rate 0.01."""
    w, g = np.array([2.0, -3.0]), np.array([0.4, 0.1])
    method = L2(SGD(0.01), weight_decay=strength)
    shrunk = (1 - 0.05) * w - 0.01 * g
    return close(method.update(w, g, method.init(w))[0], shrunk)


def is_true_of_nd_adam(claim: Callable[[Any, Any], bool]) -> bool:
    """A claim about the products of m_t and w_(t-1), and the length of m in the last step."""
    rng, nd = np.random.default_rng(1), NDAdam({"*": 0}, lr=0.05)
    w = normalised(rng.standard_normal((5, 20)), {"*": 0})
    state, products = nd.init(w), []
    for _ in range(20):
        before = w
        w, state = nd.update(w, rng.standard_normal(w.shape), state)
        products.append(inner_products(state.m, before, 0))
    return claim(np.array(products), np.linalg.norm(state.m, axis=0))


# ---- Adam's paper


def squared_step(b1: Fraction, b2: Fraction, t: int = 400) -> Any:
    g = [(b2 / b1) ** i for i in range(t)]
    m, v = ema(g, b1)[-1] / (1 - b1**t), ema([a * a for a in g], b2)[-1] / (1 - b2**t)
    return m * m / v


def squared_claim(b1: Fraction, b2: Fraction) -> Any:
    return (1 - b1) ** 2 / (1 - b2) if (1 - b1) ** 2 > 1 - b2 else 1


def squared_sup(b1: Fraction, b2: Fraction, t: int = 400) -> Any:
    mass = (1 - b1) / (1 - b1**t)
    return mass**2 * (1 - b2**t) / (1 - b2) * sum((b1 * b1 / b2) ** k for k in range(t))


def covers(settings: Any) -> Callable[[Callable[..., Any]], bool]:
    return lambda bound: all(squared_step(*case) <= bound(*case) for case in settings)


def covers_adamax(bound: Callable[[int], Any]) -> bool:
    b2 = Fraction(999, 1000)
    sizes = [np.array([float(b2**t)]) for t in range(1, 41)]
    longest = np.abs(moves(AdaMax(1.0), sizes))[:, 0]
    return all(move <= bound(t) * (1 + 1e-12) for t, move in enumerate(longest, 1))


def adamax_sup(t: int) -> float:
    return 0.1 / (1 - 0.9**t) * sum((0.9 / 0.999) ** k for k in range(t))


H = [sum(Fraction(1, t) for t in range(1, T + 1)) for T in range(1, 41)]


def covers_the_sum(squared: Callable[[Any, Any], Any]) -> bool:
    """Lemma 10.3 for g_t = 1 / sqrt(t): the left side is H_T, and so is the norm's square."""
    return all(h * h <= squared(h, h) for h in H)


def covers_the_next_sum(bound: Callable[[Any, Any], Any]) -> bool:
    """Lemma 10.4 for beta1 = 0, beta2 = 1/10 and g_t = 1 / sqrt(t)."""
    t = np.arange(1, 101)
    g = 1 / np.sqrt(t)
    v_hat = np.array(ema(g * g, 0.1)) / (1 - 0.1**t)
    return bool(np.all(np.cumsum(g * g / np.sqrt(t * v_hat)) <= bound(g, t)))


def covers_v_hat(squared: Callable[[Any, Any], Any]) -> bool:
    b2, G = Fraction(999, 1000), Fraction(3)
    return all(v <= squared(G, b2) for v in corrected_ema([G * G] * 10, [b2] * 10))


FALLING = [B / 2**i for i in range(8)]


def average_of_ones(memories: Iterable[Any]) -> list[Any]:
    m, seen = Fraction(0), []
    for beta in memories:
        m = beta * m + (1 - beta)
        seen.append(m)
    return seen


def over(masses: Iterable[Any], memories: Iterable[Any]) -> list[Any]:
    """The averages of ones with these memories, each divided by its mass: estimates of 1."""
    return [m / mass for m, mass in zip(average_of_ones(memories), masses, strict=True)]


def the_game(amsgrad: bool, T: int = 6000, beta: float = 0.25, lam: float = 0.5) -> Any:
    """x, g, H and the losses of the page's game, by a program of its own, on arrays."""
    x, g, H, losses = np.empty((4, T))
    slopes = np.resize([3.0, -1.0, -1.0], T)
    m = v = most = 0.0
    at, memory = 0.9, beta
    for i, slope in enumerate(slopes):
        t = i + 1
        x[i], losses[i] = at, slope * at + max(abs(at) - 1, 0)
        g[i] = slope + np.sign(at) * (abs(at) > 1)
        m, v = memory * m + (1 - memory) * g[i], 0.1 * v + 0.9 * g[i] ** 2
        memory, most = memory * lam, max(most, v)
        H[i] = math.sqrt(t * (most if amsgrad else v / (1 - 0.1**t))) / 0.3
        at = at - (m if amsgrad else m / (1 - beta**t)) / H[i]
        at = float(np.clip(at, -2, 2)) if amsgrad else at
    return x, g, H, losses.sum() - (-slopes).sum()


GAMES = {amsgrad: the_game(amsgrad) for amsgrad in (False, True)}


def telescopes(amsgrad: bool) -> bool:
    x, _, H, _ = GAMES[amsgrad]
    D = np.abs(x + 1).max()
    sums = np.cumsum((x + 1) ** 2 * np.diff(H, prepend=0.0))
    return bool(np.all(sums <= D * D * H * (1 + 1e-12)))


def reaches_the_best_point(D: float) -> bool:
    return bool(np.all(np.abs(GAMES[False][0] + 1) <= D))


def bound_of_2015(D: float = 2.05, G: float = 4.0, b1: float = 0.25, b2: float = 0.1) -> float:
    _, g, H, _ = GAMES[False]
    gamma, root = b1**2 / math.sqrt(b2), math.sqrt(1 - b2)
    second = 0.3 * (1 + b1) * G / ((1 - b1) * root * (1 - gamma) ** 2) * math.sqrt((g * g).sum())
    third = D * D * G * root / (2 * 0.3 * b1 * (1 - 0.5) ** 2)
    return float(D * D / (2 * (1 - b1)) * H[-1] + second + third)


def bound_for_amsgrad(D: float = 4.0, b1: float = 0.25, b2: float = 0.1) -> float:
    _, g, H, _ = GAMES[True]
    mean = (0.3 / np.sqrt(np.arange(1, len(g) + 1)) * np.abs(g)).sum()
    factor = (1 + b1) / 2 / math.sqrt((1 - b2) * (1 - b1**2 / b2))
    return float(D * D / (2 * (1 - b1)) * H[-1] + factor * mean)


def covers_the_regret(theorem: tuple[bool, Callable[[], float]]) -> bool:
    amsgrad, bound = theorem
    return bool(GAMES[amsgrad][3] <= bound())


# ---- AMSGrad's paper, and programs


def never_falls(values: Iterable[Any]) -> bool:
    values = list(values)
    return all(now <= later for now, later in zip(values, values[1:], strict=False))


DECAYED = [0.9 * 0.001**t for t in range(8)]
ROOTS = [math.sqrt(t) for t in range(1, 9)]  # H_t of constant gradients


def covers_the_middle_term(bound: float) -> bool:
    """Ten coordinates, alpha = 0.001, lambda = 1/2; the common factor is left out."""
    t = np.arange(1, 101)
    return bool(10 * np.sum(0.9 * 0.5 ** (t - 1.0) * np.sqrt(t) / 0.001) <= bound)


MUS = [Fraction(dozat_schedule(0.9)(t)).limit_denominator(1000) for t in range(1, 9)]


def maxima(corrected: bool) -> list[Any]:
    """The largest v so far, of a gradient and four zeros; PyTorch divides it by the mass."""
    averages = ema([1, 0, 0, 0, 0], Fraction(99, 100))
    tops = [max(averages[:t]) for t in range(1, 6)]
    return [v / (1 - Fraction(99, 100) ** t) if corrected else v for t, v in enumerate(tops, 1)]


SETTINGS = [(B, Fraction(999, 1000)), (B, Fraction(99, 100))]
S_INFINITY = 0.1 / math.sqrt(0.001 * (1 - 0.81 / 0.999))

ERRATA = [
    Erratum("count", is_one, counted_from(0), counted_from(1)),
    Erratum("count", is_one, counted_from(0), corrected_ema(ONES, [B] * 8)),
    Erratum("sum", lambda sums: sums == ema(ONES, B), sums_from(0), sums_from(1)),
    *(Erratum("free-index", mean_of_the_average, i, 8) for i in range(1, 8)),
    Erratum(
        "velocity",
        total_weights,
        lambda t: Fraction(1, 5) * (1 - B**t),
        lambda t: Fraction(1, 5) * (1 - B**t) / (1 - B),
    ),
    Erratum("norm", second_moment_weighs, ONES, [w / (1 - B**8) for w in ema_weights(B, 8)]),
    Erratum(
        "guard",
        lambda step: np.array_equal(step(np.ones(2), np.zeros(2)), np.ones(2)),
        article_adamax,
        package_adamax,
    ),
    Erratum("nadam", looks_ahead, article_nadam, package_nadam),
    *(Erratum("property", covers_a_burst, bound, S_INFINITY) for bound in (1.0, 2.0, 6.5)),
    Erratum("scale", makes_the_same_moves, LATE, SLOPE / 1024),
    Erratum(
        "regret",
        of_the_best_point_is_zero,
        against_each_round,
        lambda game: regret(game).value,
    ),
    Erratum("rate", vanishes_on_average, 0.0, lambda t: 1 / math.sqrt(t)),
    Erratum(
        "root", expands_the_step, lambda root, eta: root**2 / eta, lambda root, eta: root / eta
    ),
    Erratum("sign", is_true_of_a_constant_rate, lambda gamma: gamma > 0, lambda gamma: gamma >= 0),
    Erratum("cycle", makes_minus_one_best, 3, 1),
    Erratum("premises", adam_fails, 0.999, 1 / 10),
    *(Erratum("start", starts, names, {"v_hat": 0.0}) for names in ({}, {"v_hat": 1.0})),
    Erratum("eps", steps_by_a_learning_rate, article_eps, package_eps),
    Erratum("decay", is_weight_decay, 0.05, 0.05 / 0.01),
    Erratum(
        "tangent",
        is_true_of_nd_adam,
        lambda products, length: close(np.abs(products[-1]), length, 1e-2),
        lambda products, length: close(products[0], 0) and bool(np.all(products <= 1e-12)),
    ),
    *(Erratum("step", covers([case]), squared_claim, squared_sup) for case in SETTINGS),
    Erratum("adamax", covers_adamax, lambda t: 1.0, adamax_sup),
    Erratum("memory", lambda beta: effective_size(beta) >= 100, 0.001, 0.999),
    Erratum("lemma", covers_the_sum, lambda h, norm2: 4 * norm2, lambda h, norm2: h * norm2),
    Erratum(
        "second-lemma",
        covers_the_next_sum,
        lambda g, t: 2 * np.sqrt(np.cumsum(g * g) / 0.9),
        lambda g, t: np.cumsum(g / np.sqrt(t)) / math.sqrt(0.9),
    ),
    Erratum("second-moment", covers_v_hat, lambda G, b2: G * G * (1 - b2), lambda G, b2: G * G),
    Erratum(
        "product",
        is_one,
        over([1 - B**t for t in range(1, 9)], FALLING),
        corrected_ema(ONES, FALLING),
    ),
    Erratum("telescope", telescopes, False, True),
    Erratum("comparator", reaches_the_best_point, np.ptp(GAMES[False][0]), 2.05),
    Erratum("theorem", covers_the_regret, (False, bound_of_2015), (True, bound_for_amsgrad)),
    Erratum(
        "split",
        never_falls,
        [h / (1 - beta) for h, beta in zip(ROOTS, DECAYED, strict=True)],
        ROOTS,
    ),
    Erratum(
        "split",
        never_falls,
        [1 / (1 - beta) for beta in DECAYED],
        [-beta / (1 - beta) for beta in DECAYED],
    ),
    Erratum("corollary", covers_the_middle_term, 0.9 / 0.5**2, 10 / 0.001 * 0.9 / 0.5**2),
    Erratum(
        "torch-nadam",
        is_one,
        over([1 - math.prod(MUS[:t]) for t in range(1, 9)], [B] * 8),
        corrected_ema(ONES, MUS),
    ),
    Erratum("torch-amsgrad", never_falls, maxima(corrected=True), maxima(corrected=False)),
]


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda erratum: erratum.name)
def test_the_original_is_wrong(erratum: Erratum) -> None:
    assert erratum.holds(erratum.printed) is False


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda erratum: erratum.name)
def test_the_correction_is_right(erratum: Erratum) -> None:
    assert erratum.holds(erratum.right) is True


# ---- What the page says in numbers


def test_the_first_steps_of_the_articles_loop() -> None:
    with pytest.raises(ZeroDivisionError):
        [m / (1 - B**t) for t, m in enumerate(ema(ONES, B))]
    assert [round(float(m), 3) for m in counted_from(0)[:2]] == [1.9, 1.426]


def test_where_the_lemmas_fail_first() -> None:
    assert next(T for T, h in enumerate(H, 1) if h * h > 4 * h) == 31
    for last, holds in ((52, True), (53, False)):
        t = np.arange(1, last + 1)
        g = 1 / np.sqrt(t)
        left = (g * g / np.sqrt(t * np.array(ema(g * g, 0.1)) / (1 - 0.1**t))).sum()
        assert (left <= 2 * np.sqrt((g * g).sum() / 0.9)) == holds


def test_a_lemma_whose_sides_have_different_units_fails_for_small_gradients() -> None:
    for G, holds in ((0.6, True), (0.5, True), (0.49, False), (1e-3, False)):
        assert (G <= 2 * G * G) == holds  # T = 1


def test_the_weights_of_the_second_telescope() -> None:
    weights = [h / (1 - beta) for h, beta in zip(ROOTS, DECAYED, strict=True)]
    assert [round(weight, 4) for weight in weights[:2]] == [10, 1.4155]


def test_the_regret_that_forgets_to_fix_its_comparator() -> None:
    assert against_each_round(play(SGD(0.0), CYCLE, 999, Box(-1.0, 1.0))) == 1332


def test_decay_beside_the_step_is_the_articles_definition() -> None:
    w, g = np.array([2.0, -3.0]), np.array([0.4, 0.1])
    method = SGDW(0.01, weight_decay=0.05, momentum=0.0)
    assert close(method.update(w, g, method.init(w))[0], (1 - 0.05) * w - 0.01 * g)


# ---- The page


def page() -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(
        (ROOT / "chapters" / "errata.ipynb").read_text("utf-8")
    )["cells"]
    return cells


def entries() -> dict[str, str]:
    """The code that follows each labelled correction, up to the next one."""
    found: dict[str, str] = {}
    name = ""
    for cell in page():
        source = "".join(cell["source"])
        for name in re.findall(r"^.*\$\$ \(err-([\w-]+)\)$", source, re.MULTILINE):
            found[name] = ""
        if name and cell["cell_type"] == "code":
            found[name] += source + "\n"
    return found


def test_every_entry_has_a_row_here() -> None:
    assert list(dict.fromkeys(erratum.name for erratum in ERRATA)) == list(entries())


@pytest.mark.parametrize("name", entries())
def test_an_entry_of_the_page_tries_the_original_and_the_correction(name: str) -> None:
    code = entries()[name]
    assert "as_printed(" in code
    assert f'check(\n    "err-{name}"' in code or f'check("err-{name}"' in code


def test_the_table_of_the_page_lists_every_entry_once() -> None:
    text = next("".join(cell["source"]) for cell in page() if cell["id"] == "sources-text")
    assert re.findall(r"\{eq\}`err-([\w-]+)`", text) == list(entries())
    stated = [int(count) for count in re.findall(r"(\d+) entries", text)]
    assert sum(stated) == len(entries())
