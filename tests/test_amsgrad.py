"""AMSGrad and its relatives: the maximum, the theorem's terms and premises, and the proof line by line."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import gradients

from adam_tutorial import (
    SGD,
    Adagrad,
    Adam,
    AdamNC,
    AdamX,
    AMSGrad,
    Momentum,
    OptaxAMSGrad,
    Optimizer,
    RMSProp,
    TorchAMSGrad,
    amsgrad,  # the module
)
from adam_tutorial.amsgrad import adamnc_bound, adamnc_proof, amsgrad_bound, amsgrad_proof
from adam_tutorial.bounds import (
    UNITS,
    Premise,
    confirmed,
    first_false,
    regret_of,
    rounding,
)
from adam_tutorial.intervals import in_intervals
from adam_tutorial.online import Cycle, Game, LinearLosses, SquareLosses, play
from adam_tutorial.projections import EVERYWHERE, Ball, Box

KINDS = (AMSGrad, TorchAMSGrad, OptaxAMSGrad, AdamX)
BOX = Box(-1.0, 1.0)
CYCLE = Cycle((3.0, -1.0, -1.0))


def falling(alpha: float) -> Any:
    return lambda t: alpha / t**0.5


def shrinking(beta1: float) -> Any:
    return lambda t: beta1 * 0.8 ** (t - 1)


def linear(rounds: int = 40, d: int = 2, seed: int = 0) -> LinearLosses:
    rng = np.random.default_rng(seed)
    return LinearLosses(rng.standard_normal((rounds, d)), np.full(d, 0.25))


def run(method: Optimizer, gs: Any) -> tuple[Any, Any]:
    """The way down of each step from 0, and the last state."""
    theta = np.zeros_like(gs[0])
    state, seen = method.init(theta), []
    for g in gs:
        before = theta.copy()
        method.step(theta, g, state)
        seen.append(before - theta)
    return np.array(seen), state


# ---- The methods


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_are_adams(kind: Any) -> None:
    assert kind() == kind(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8)


def test_adamnc_has_no_beta2() -> None:
    assert AdamNC() == AdamNC(lr=1e-3, beta1=0.9, eps=1e-8)
    assert AdamNC.slots == ("m", "v") and AMSGrad.slots == ("m", "v", "v_max")


def test_two_steps_by_hand() -> None:
    gs = np.array([[2.0], [-1.0]])
    m = [1.0, 0.0]  # beta1 = 1/2
    v = [1.0, 1.0]  # beta2 = 3/4
    moves, state = run(AMSGrad(1.0, 0.5, 0.75, 0.5), gs)
    np.testing.assert_allclose(moves[:, 0], [m[0] / 1.5, m[1]], rtol=1e-15)
    assert [state.m.item(), state.v.item(), state.v_max.item()] == [m[1], v[1], 1.0]
    moves, _ = run(TorchAMSGrad(1.0, 0.5, 0.75, 0.5), gs)
    np.testing.assert_allclose(moves[0, 0], 2 / (2 + 0.5), rtol=1e-15)
    moves, state = run(OptaxAMSGrad(1.0, 0.5, 0.75, 0.5), gs)
    np.testing.assert_allclose(moves[0, 0], 2 / (2 + 0.5), rtol=1e-15)
    assert state.v_max.item() == 4.0
    moves, state = run(AdamNC(1.0, 0.5, 0.5), np.array([[2.0], [-1.0], [3.0]]))
    assert state.v.item() == pytest.approx(14 / 3, rel=1e-15)
    np.testing.assert_allclose(moves[2, 0], 1.5 / (math.sqrt(14 / 3) + 0.5), rtol=1e-14)


def test_the_maximum_is_the_largest_average_so_far() -> None:
    gs, beta2 = gradients("spiked"), 0.9
    v = np.zeros_like(gs[0])
    largest = corrected = v
    states = [kind(beta2=beta2).init(v.copy()) for kind in (AMSGrad, TorchAMSGrad, OptaxAMSGrad)]
    for t, g in enumerate(gs, start=1):
        v = beta2 * v + (1 - beta2) * g * g
        largest = np.maximum(largest, v)
        corrected = np.maximum(corrected, v / (1 - beta2**t))
        for kind, state in zip((AMSGrad, TorchAMSGrad, OptaxAMSGrad), states, strict=True):
            kind(beta2=beta2).step(np.zeros_like(g), g, state)
    for state, expected in zip(states, (largest, largest, corrected), strict=True):
        np.testing.assert_allclose(state.v_max, expected, rtol=1e-12)


def test_what_torch_divides_by_falls_and_what_optax_divides_by_does_not() -> None:
    once = np.array([[1.0]] + [[0.0]] * 99)
    for kind, last in ((TorchAMSGrad, math.sqrt(0.1 / (1 - 0.9**100))), (OptaxAMSGrad, 1.0)):
        method = kind(1.0, 0.0, 0.9, 0.0)
        _, state = run(method, once)
        assert method.metric(state).item() == pytest.approx(last, rel=1e-12)


@pytest.mark.parametrize("kind", [*KINDS, AdamNC])
def test_nothing_moves_and_nothing_warns_before_the_first_gradient(kind: Any) -> None:
    for eps in (0.0, 1e-8):
        with np.errstate(all="raise"):
            moves, state = run(kind(eps=eps), [np.zeros(3)] * 5)
        assert not moves.any() and not state.v.any()


@pytest.mark.parametrize("kind", [*KINDS, AdamNC])
def test_a_step_is_the_metrics(kind: Any) -> None:
    gs, method = gradients("random")[:20], kind(lr=falling(0.3), beta1=0.7, eps=0.01)
    moves, state = run(method, gs)
    np.testing.assert_allclose(moves[-1], state.m / method.metric(state), rtol=1e-9)


def test_the_metric_is_0_where_no_gradient_came() -> None:
    for kind in (*KINDS, AdamNC):
        method = kind(lr=0.5, beta1=0.0, eps=0.0)
        _, state = run(method, [np.array([0.0, -4.0])])
        assert method.metric(state)[0] == 0 < method.metric(state)[1]


def test_a_schedule_of_beta1_is_followed() -> None:
    gs, beta1 = gradients("random")[:6], shrinking(0.9)
    _, state = run(AMSGrad(beta1=beta1), gs)
    m = np.zeros_like(gs[0])
    for t, g in enumerate(gs, start=1):
        m = beta1(t) * m + (1 - beta1(t)) * g
    np.testing.assert_allclose(state.m, m, rtol=1e-13)


def test_adamx_is_amsgrad_for_a_number_and_lets_the_maximum_grow_for_a_schedule() -> None:
    gs = gradients("spiked")[:60]
    assert run(AdamX(beta1=0.8), gs)[0].tolist() == run(AMSGrad(beta1=0.8), gs)[0].tolist()
    beta1, beta2 = shrinking(0.9), 0.9
    _, state = run(AdamX(beta1=beta1, beta2=beta2), gs)
    v = largest = np.zeros_like(gs[0])
    for t, g in enumerate(gs, start=1):
        v = beta2 * v + (1 - beta2) * g * g
        growth = ((1 - beta1(t)) / (1 - beta1(t - 1))) ** 2 if t > 1 else 0.0
        largest = np.maximum(growth * largest, v)
    np.testing.assert_allclose(state.v_max, largest, rtol=1e-12)


def test_adamnc_without_momentum_is_adagrad() -> None:
    gs = gradients("random")
    ours, _ = run(AdamNC(falling(0.3), 0.0, 0.0), gs)
    theirs, _ = run(Adagrad(0.3, 0.0), gs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_amsgrad_survives_where_a_short_memory_goes_to_the_worst_point() -> None:
    lost = play(RMSProp(falling(0.5), 0.1, 0.0), CYCLE, 3000, BOX)
    kept = play(AMSGrad(falling(0.5), 0.0, 0.1, 0.0), CYCLE, 3000, BOX)
    assert lost.x[-1] > 0.9 and kept.x[-1] < -0.9


# ---- The theorems


def expected_terms(game: Game) -> tuple[float, float]:
    """The two terms of the theorem on AMSGrad, number by number."""
    beta1, beta2 = game.method.hyper(1)["beta1"], game.method.hyper(1)["beta2"]
    D, (T, d) = game.domain.diameter(math.inf, game.x.shape[1]), game.g.shape
    S = 1 / math.sqrt((1 - beta2) * (1 - beta1**2 / beta2))
    distance = sum(D**2 / (2 * (1 - beta1)) * game.metric[-1, i] for i in range(d))
    moved = (game.method.hyper(t + 1)["lr"] * abs(game.g[t, i]) for t in range(T) for i in range(d))
    return distance, (1 + beta1) / 2 * S * sum(moved)


SETTINGS = [
    (0.0, 0.9), (0.5, 0.5), (0.9, 0.99), (shrinking(0.9), 0.99), (lambda t: 0.9 / t, 0.999)
]  # fmt: skip


@pytest.mark.parametrize(("beta1", "beta2"), SETTINGS)
@pytest.mark.parametrize(
    ("eps", "domain"), [(0.0, BOX), (0.0, Box((-1.0, -3.0), (0.5, 1.0))), (0.01, Ball(1.5))]
)
def test_the_terms_are_the_theorems(beta1: Any, beta2: float, eps: float, domain: Any) -> None:
    for kind in (AMSGrad, AdamX):
        game = play(kind(falling(0.3), beta1, beta2, eps), linear(), 40, domain)
        found = amsgrad_bound(game)
        assert found.holds, found
        np.testing.assert_allclose([t.value for t in found.terms], expected_terms(game), rtol=1e-12)
        assert [term.name for term in found.terms] == ["distance", "steps"]
        assert 0 < found.error < 1e-9


def by_hand(game: Game, u: Any) -> dict[str, tuple[float, float]]:
    """Lines of the proof in plain loops, by the formulas of the chapter: (left, right)."""
    T, d = game.g.shape
    R, C = range(T), range(d)
    beta1 = [game.method.hyper(t + 1)["beta1"] for t in R]
    lr = [game.method.hyper(t + 1)["lr"] for t in R]
    rho = [b / (1 - b) for b in beta1] + [0.0]
    x, g, m, H, D = game.x, game.g, game.slots["m"], game.metric, 2.0
    n = [sum(m[t, i] ** 2 / H[t, i] for i in C) for t in R]

    def half(t: int, s: int) -> float:
        return sum(H[t, i] * (x[s, i] - u[i]) ** 2 for i in C) / 2

    def inner(a: Any, b: Any) -> float:
        return sum(p * q for p, q in zip(a, b, strict=True))

    linear_sum = sum(inner(g[t], x[t] - u) for t in R)
    trace = D**2 / 2 * sum(H[-1, i] for i in C)
    fallen = [half(t, t) - half(t, t + 1) for t in R]
    collected = trace * (1 + rho[0]) + sum((1 + rho[t] + rho[t + 1]) / 2 * n[t] for t in R)
    lines = {
        "convexity": (None, linear_sum),
        "telescope": (sum(fallen), trace),
        "weights": (sum((rho[t] - rho[t + 1]) * fallen[t] for t in R), rho[0] * trace),
        "collected": (linear_sum, collected),
        "one round": [(inner(m[t], x[t] - u), fallen[t] + n[t] / 2) for t in R],
        "one move": [(inner(m[t], x[t] - x[t + 1]), n[t]) for t in R[:-1]],
    }
    if isinstance(game.method, AdamNC):
        G = [[math.sqrt(sum(g[s, i] ** 2 for s in range(t + 1))) for i in C] for t in R]
        w = [[(1 - beta1[s]) * math.prod(beta1[s + 1 : t + 1]) for s in range(t + 1)] for t in R]
        q = [[sum(w[t][s] * g[s, i] ** 2 for s in range(t + 1)) for i in C] for t in R]
        heard = [sum(q[t][i] / G[t][i] for t in R) for i in C]
        told = [sum(g[t, i] ** 2 / G[t][i] for t in R) for i in C]
        return lines | {  # type: ignore[return-value]
            "mean of squares": [(m[t, i] ** 2, q[t][i]) for t in R for i in C],
            "price of a round": [(n[t], lr[0] * sum(q[t][i] / G[t][i] for i in C)) for t in R],
            "memory": list(zip(heard, told, strict=True)),
            "sum of roots": [(told[i], 2 * G[-1][i]) for i in C],
        }
    beta2 = game.method.hyper(1)["beta2"]
    S = 1 / math.sqrt((1 - beta2) * (1 - beta1[0] ** 2 / beta2))
    heard = [sum(lr[t] * abs(m[t, i]) for t in R) for i in C]
    told = [sum(lr[t] * abs(g[t, i]) for t in R) for i in C]
    norms = [math.sqrt(sum(a * a for a in lr) * sum(g[t, i] ** 2 for t in R)) for i in C]
    price = [(1 + rho[t] + rho[t + 1]) / 2 * n[t] for t in R]
    share = [(1 + beta1[0]) / 2 * S * lr[t] * sum(abs(m[t, i]) for i in C) for t in R]
    return lines | {  # type: ignore[return-value]
        "length": [(abs(m[t, i]), (1 - beta1[t]) * S * lr[t] * H[t, i]) for t in R for i in C],
        "price of a round": list(zip(price, share, strict=True)),
        "memory": list(zip(heard, told, strict=True)),
        "first form": list(zip(told, norms, strict=True)),
        "second form": [(told[i], sum(lr) * max(abs(g[:, i]))) for i in C],
    }


PROVED = [
    (AMSGrad(falling(0.3), 0.5, 0.9, 0.01), amsgrad_proof, amsgrad_bound),
    (AMSGrad(falling(0.3), shrinking(0.9), 0.99, 0.01), amsgrad_proof, amsgrad_bound),
    (TorchAMSGrad(falling(0.3), 0.9, 0.99, 0.01), amsgrad_proof, amsgrad_bound),
    (AdamNC(falling(0.3), 0.5, 0.01), adamnc_proof, adamnc_bound),
    (AdamNC(falling(0.3), shrinking(0.9), 0.01), adamnc_proof, adamnc_bound),
]


@pytest.mark.parametrize(("method", "proof", "bound"), PROVED)
def test_each_line_is_the_chapters_inequality(method: Any, proof: Any, bound: Any) -> None:
    game, u = play(method, linear(12, 3), 12, BOX), np.array([0.5, -1.0, 0.25])
    lines, expected = proof(game, u), by_hand(game, u)
    certificate = bound(game, u)
    assert certificate.holds, certificate
    for line in lines:
        name = line.name.split(",")[0]
        if name in ("identity", "bound", "regret"):
            continue
        if isinstance(pairs := expected.pop(name), list):  # the one with the smallest margin
            tight = min(pairs, key=lambda pair: pair[1] - pair[0])
            assert line.right - line.left == pytest.approx(tight[1] - tight[0], abs=1e-12), name
            pairs = min(
                pairs, key=lambda pair: abs(pair[0] - line.left) + abs(pair[1] - line.right)
            )
        left, right = pairs
        assert line.right == pytest.approx(right, rel=1e-11), name
        assert left is None or line.left == pytest.approx(left, rel=1e-11, abs=1e-13), name
    assert not expected and not first_false(lines)
    named = {line.name: line for line in lines}
    gap = sum(game.losses) - sum(game.problem.loss(u, t) for t in range(1, 13))
    assert named["convexity"].left == pytest.approx(gap, rel=1e-11) == named["regret"].left
    assert named["bound"].left == pytest.approx(named["convexity"].right)
    assert named["bound"].right == named["regret"].right == certificate.bound
    assert named["identity"].left == 0 == named["identity"].right
    assert all(0 <= line.error < 1e-9 for line in lines)


def test_a_line_says_where_it_is_tightest() -> None:
    lines = amsgrad_proof(play(AMSGrad(falling(0.3)), linear(12, 3), 12, BOX))
    names = [line.name for line in lines]
    places = [name.split(", ")[1:] for name in names]
    assert [name.split(",")[0] for name in names] == [
        "convexity", "identity", "one round", "telescope", "weights", "one move", "collected",
        "length", "price of a round", "memory", "bound", "regret", "first form", "second form",
    ]  # fmt: skip
    assert places[7][0].startswith("round ") and places[7][1].startswith("coordinate ")
    game = play(
        AMSGrad(1.0, 0.0, 0.75, 0.0), LinearLosses(np.array([[1.0, 2.0]]), np.ones(2)), 1, BOX
    )
    lines = {line.name.split(",")[0]: line for line in amsgrad_proof(game)}
    assert "one move" not in lines  # one round has none
    assert lines["one round"].name == "one round, round 1"


def test_adamncs_terms() -> None:
    game = play(AdamNC(falling(0.3), 0.5, 0.01), linear(), 40, BOX)
    found, norms = adamnc_bound(game), np.sqrt((game.g**2).sum(axis=0))
    assert found.holds and found.theorem == "AdamNC"
    distance = 4 / (2 * 0.5) * sum((norms + 0.01 * math.sqrt(40)) / 0.3)
    np.testing.assert_allclose(
        [t.value for t in found.terms], [distance, 3 * 0.3 * sum(norms)], rtol=1e-12
    )


def test_one_game_meets_the_bound_exactly() -> None:
    for n, D, g in ((2, 1, 1), (3, 2, Fraction(1, 7)), (31, 1, Fraction(22, 7))):
        root, alpha = Fraction(1, n), Fraction(D, n)  # beta2 = 1 - 1 / n**2
        assert D * D * root * g / (2 * alpha) + alpha * g / (2 * root) == D * g
    found = amsgrad_bound(play(AMSGrad(1.0, 0.0, 0.75, 0.0), Cycle((3.0,), 2.0), 1, Box(0.0, 2.0)))
    assert found.measured == 6 == pytest.approx(found.bound, rel=1e-15)
    assert found.verdict == "undecided" and not found.broken


@dataclass(frozen=True)
class Forgets(AMSGrad):
    """Divides by the root of v itself."""

    @staticmethod
    def rule(theta: Any, g: Any, m: Any, v: Any, v_max: Any, *, lr: float, beta1: float, beta2: float, eps: float) -> tuple[Any, ...]:  # fmt: skip
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        return theta - lr * m / (np.sqrt(v) + eps), m, v, v


def broken(certificate: Any) -> list[str]:
    return [premise.name for premise in certificate.broken]


def test_without_the_maximum_the_telescope_and_no_earlier_line_is_false() -> None:
    game = play(Forgets(falling(0.5), 0.0, 0.1, 0.0), CYCLE, 3000, BOX)
    assert broken(amsgrad_bound(game)) == ["H_t never falls"]
    wrong = first_false(amsgrad_proof(game))
    assert wrong is not None and wrong.name == "telescope"
    assert wrong.left > 10 * wrong.right


class TestPremises:
    def game(self, method: Any, problem: Any = None, domain: Any = BOX) -> Any:
        return play(method, problem or linear(), 40, domain)

    def test_a_method_without_momentum_is_refused(self) -> None:
        with pytest.raises(TypeError, match="such as AMSGrad; got one of SGD"):
            amsgrad_bound(self.game(SGD(0.1)))
        with pytest.raises(TypeError, match="got one of Momentum"):
            amsgrad_bound(self.game(Momentum(0.1)))
        with pytest.raises(TypeError, match="got one of RMSProp"):
            adamnc_bound(self.game(RMSProp(0.1)))

    def test_adam_is_void(self) -> None:
        assert "each step is -m_t / H_t" in broken(amsgrad_bound(self.game(Adam(falling(0.3)))))

    def test_torchs_form_is_void_at_a_constant_rate_and_optaxs_is_not(self) -> None:
        rare = Cycle((1.0, *[0.0] * 39))
        assert broken(amsgrad_bound(self.game(TorchAMSGrad(0.01), rare))) == ["H_t never falls"]
        for method in (OptaxAMSGrad(0.01), TorchAMSGrad(falling(0.01)), AMSGrad(0.01)):
            assert amsgrad_bound(self.game(method, rare)).holds

    def test_beta1_must_not_rise(self) -> None:
        found = amsgrad_bound(self.game(AMSGrad(falling(0.3), lambda t: 0.9 * (1 - 1 / t), 0.99)))
        assert "beta1_t never rises" in broken(found)

    @pytest.mark.parametrize(("beta1", "beta2"), [(0.5, 0.25), (0.9, 0.5), (0.0, 0.0)])
    def test_beta1_squared_must_be_below_beta2(self, beta1: float, beta2: float) -> None:
        found = amsgrad_bound(self.game(AMSGrad(falling(0.3), beta1, beta2)))
        assert "beta1^2 < beta2" in broken(found) and found.terms[1].value == math.inf

    def test_the_rate_must_not_rise(self) -> None:
        rising = AMSGrad(lambda t: 0.01 * t, 0.5, 0.9, 0.0)
        constant_root = Cycle(tuple(2.0**k for k in range(40)))
        found = amsgrad_bound(self.game(rising, constant_root))
        assert broken(found) == ["alpha_t never rises"]

    def test_the_domain_must_be_bounded(self) -> None:
        squares = SquareLosses(np.ones((40, 2)), np.ones(40), np.zeros(2))
        found = amsgrad_bound(self.game(AMSGrad(falling(0.1)), squares, EVERYWHERE))
        assert "F bounded" in broken(found)

    def test_another_average_is_noticed(self) -> None:
        game = self.game(AMSGrad(falling(0.3), 0.5, 0.9))
        for t in (0, 20):
            other = {name: values.copy() for name, values in game.slots.items()}
            other["m"][t] += 1e-6
            changed = Game(**{**vars_of(game), "slots": other})
            assert "m_t averages the gradients, m_0 = 0" in broken(amsgrad_bound(changed))

    def test_a_step_that_is_too_long_is_noticed(self) -> None:
        class Longer(AMSGrad):
            def metric(self, state: Any) -> Any:
                return super().metric(state) / 1.5  # type: ignore[operator]

        found = broken(amsgrad_bound(self.game(Longer(falling(0.3), 0.5, 0.9, 0.0))))
        assert "|m_t| <= (1 - beta1_t) S alpha_t H_t" in found

    def test_a_way_back_that_is_no_projection_is_noticed(self) -> None:
        game, u = self.game(AMSGrad(falling(0.1), 0.0, 0.9, 0.0)), np.array([1.0, -1.0])
        for to, name in (
            (-u, "x_{t+1} projected in the norm of H_t"),
            (u, "no move is longer than its step"),
        ):
            x = game.x.copy()
            x[5] = to  # farther from u than the step led; or nearer, but too far from where it was
            changed = Game(**{**vars_of(game), "x": x})
            assert name in broken(amsgrad_bound(changed, u))

    def test_a_point_outside_is_noticed(self) -> None:
        game = self.game(AMSGrad(falling(0.3)), domain=Box(-3.0, 3.0))
        changed = Game(**{**vars_of(game), "domain": Box(-0.25, 0.25)})
        assert "x_t in F" in broken(amsgrad_bound(changed, 0.0))

    def test_adamnc_asks_for_its_own_denominator(self) -> None:
        wide = "alpha H_t >= sqrt(g_1^2 + ... + g_t^2)"
        assert wide in broken(adamnc_bound(self.game(AdamNC(0.3))))
        assert broken(adamnc_bound(self.game(AdamNC(falling(0.3))))) == []


def vars_of(game: Game) -> dict[str, Any]:
    return {name: getattr(game, name) for name in Game.__dataclass_fields__}


@pytest.mark.parametrize("kind", [TorchAMSGrad, OptaxAMSGrad])
@pytest.mark.parametrize(("beta1", "beta2"), [(0.0, 0.9), (0.5, 0.5), (0.9, 0.999)])
def test_the_libraries_forms_obey_the_theorem(kind: Any, beta1: float, beta2: float) -> None:
    for problem in (linear(), SquareLosses(linear().rows, linear().rows[:, 0], np.zeros(2))):
        game = play(kind(falling(0.3), beta1, beta2, 0.0), problem, 40, BOX)
        assert amsgrad_bound(game).holds and not first_false(amsgrad_proof(game))


def test_a_coordinate_that_waits_adds_nothing() -> None:
    rows = linear(30, 2).rows.copy()
    rows[:10, 1] = rows[:, 0] = 0.0
    problem = LinearLosses(rows, np.full(2, 0.25))
    for method, bound, proof in (
        (AMSGrad(falling(0.3), 0.5, 0.9, 0.0), amsgrad_bound, amsgrad_proof),
        (AdamNC(falling(0.3), 0.5, 0.0), adamnc_bound, adamnc_proof),
    ):
        with np.errstate(all="raise", under="ignore"):
            game = play(method, problem, 30, BOX)
            assert bound(game).holds and not first_false(proof(game))


@pytest.mark.parametrize(
    ("method", "bound", "proof"),
    [
        (AMSGrad(falling(0.5), shrinking(0.9), 0.99, 0.0), amsgrad_bound, amsgrad_proof),
        (TorchAMSGrad(falling(0.5), 0.9, 0.99, 1e-8), amsgrad_bound, amsgrad_proof),
        (AdamNC(falling(0.5), 0.9, 0.0), adamnc_bound, adamnc_proof),
    ],
)
def test_rounding_has_no_say(method: Any, bound: Any, proof: Any) -> None:
    game = play(method, CYCLE, 30, Box(-0.1, 1.0))
    certain = confirmed(bound, game)
    assert certain.holds and certain.error == 0
    assert float(certain.bound) == pytest.approx(bound(game).bound, rel=1e-12)
    lines = proof(in_intervals(game))
    assert all(line.error == 0 for line in lines)
    verdicts = {line.verdict for line in lines}
    assert verdicts <= {"holds", "undecided"}


def test_the_price_of_the_guarantee_is_37_times_gradient_descents() -> None:
    beta1, beta2, D = 0.9, 0.999, 2.0
    S = 1 / math.sqrt((1 - beta2) * (1 - beta1**2 / beta2))
    least = 2 * math.sqrt(D**2 / (2 * (1 - beta1)) * (1 + beta1) * S)
    assert least / (math.sqrt(2) * D) == pytest.approx(37.17, abs=0.005)


@pytest.mark.parametrize("kind", [*KINDS, AdamNC])
def test_a_square_that_rounds_to_0_leaves_the_plain_average(kind: Any) -> None:
    moves, state = run(kind(2.0, beta1=0.5, eps=0.0), [np.array([1e-200])])
    m_hat = 1e-200 if kind in (TorchAMSGrad, OptaxAMSGrad) else 0.5e-200
    assert state.v.item() == 0 and moves.item() == 2 * m_hat


def test_adamx_grows_from_the_second_step_on() -> None:
    _, state = run(AdamX(1.0, lambda t: 0.9 if t == 1 else 0.0, 0.75), np.array([[2.0], [0.0]]))
    assert state.v_max.item() == pytest.approx(100.0, rel=1e-14)  # (1 / 0.1)**2 times 1


def test_adamncs_price_is_that_of_the_first_momentum() -> None:
    game = play(AdamNC(falling(0.3), shrinking(0.5), 0.01), linear(), 40, BOX)
    norms = np.sqrt((game.g**2).sum(axis=0))
    distance, steps = (term.value for term in adamnc_bound(game).terms)
    assert steps == pytest.approx(3 * 0.3 * sum(norms), rel=1e-12)
    assert distance == pytest.approx(4 * sum((norms + 0.01 * math.sqrt(40)) / 0.3), rel=1e-12)


def test_adamncs_proof_of_one_round() -> None:
    game = play(AdamNC(0.3, 0.5), linear(1), 1, BOX)
    assert not first_false(adamnc_proof(game)) and adamnc_bound(game).holds


@pytest.mark.parametrize(("method", "proof", "bound"), PROVED)
def test_errors_are_of_the_sizes_that_were_added(method: Any, proof: Any, bound: Any) -> None:
    game, u = play(method, linear(12, 3), 12, BOX), np.array([0.5, -1.0, 0.25])
    lines = {line.name.split(",")[0]: line for line in proof(game, u)}
    x, g, m, h = game.x, np.abs(game.g), np.abs(game.slots["m"]), game.metric
    reach, off, n = np.abs(x[:-1]) + np.abs(u), np.abs(x - u), np.sum(m * m / h, axis=1)
    whole = (1 / (1 - game.method.hyper(1)["beta1"])) * rounding(
        g * reach, m * reach, h * reach * off[:-1], n
    )
    for name in ("telescope", "weights", "collected"):
        assert lines[name].error == pytest.approx(whole, rel=1e-9, abs=0)
    ours, certificate = regret_of(game, u).error, bound(game, u)
    assert lines["convexity"].error == pytest.approx(whole + ours, rel=1e-9, abs=0)
    expected = whole + ours + rounding([term.value for term in certificate.terms])
    assert certificate.error == pytest.approx(expected, rel=1e-9, abs=0)
    assert lines["bound"].error == lines["regret"].error == certificate.error
    far = off[:-1] + off[1:]
    rounds = np.sum(m * reach + h * (reach + np.abs(x[1:])) * far, axis=1) + n
    moves = np.sum(m[:-1] * (np.abs(x[:-2]) + np.abs(x[1:-1])), axis=1) + n[:-1]
    for name, sizes in (("one round", rounds), ("one move", moves)):
        t = int(lines[name].name.split()[-1]) - 1
        assert lines[name].error == pytest.approx(UNITS * sizes[t], rel=1e-9, abs=0)
    for name in ("price of a round", "memory"):
        assert lines[name].error == pytest.approx(UNITS * lines[name].right, rel=1e-9, abs=0)


# --- parts, one by one


def test_a_quotient_is_0_where_the_divisor_is() -> None:
    found = amsgrad._over(np.array([6.0, 5.0, 0.0]), np.array([2.0, 0.0, 4.0]))
    assert found.tolist() == [3, 0, 0]


def test_what_never_rises_is_forgiven_the_rounding_of_its_own_size() -> None:
    values = np.array([-1.0, -1e16, -1e16 + 2])
    assert amsgrad._never_rises("it", values).holds
    assert not amsgrad._never_rises("it", np.array([-1e16, -2.0, -1.0])).holds
    assert amsgrad._never_rises("it", values) == Premise("it never rises", 0.0, 0.0, "the method")
    assert amsgrad._never_rises("it", values, "the game").source == "the game"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_averages_and_lengths_that_are_wrong_on_either_side(sign: float) -> None:
    game = play(AMSGrad(falling(0.3), 0.5, 0.9, 0.0), linear(), 40, BOX)
    for change, name in (
        (lambda m: m + sign * 1e-3, "m_t averages the gradients, m_0 = 0"),
        (lambda m: sign * 1e3 + 0 * m, "|m_t| <= (1 - beta1_t) S alpha_t H_t"),
    ):
        slots = {**game.slots, "m": change(game.slots["m"])}
        assert name in broken(amsgrad_bound(Game(**{**vars_of(game), "slots": slots})))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_identity_is_false_for_another_average(sign: float) -> None:
    game = play(AMSGrad(falling(0.3), 0.5, 0.9, 0.0), linear(), 40, BOX)
    off = game.x[:-1] - regret_of(game).against
    slots = {**game.slots, "m": game.slots["m"] + sign * 1e-2 * np.sign(off)}
    lines = amsgrad_proof(Game(**{**vars_of(game), "slots": slots}))
    identity = next(line for line in lines if line.name == "identity")
    assert identity.verdict == "violated" and identity.left > 1e-3


def test_every_point_is_asked_whether_its_move_was_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    game, asked = play(AMSGrad(falling(0.3)), linear(), 40, BOX), []

    def watched(game: Game, u: Any) -> Premise:
        asked.append(np.array(u))
        return Premise("", 0.0, 0.0, "")

    monkeypatch.setattr(amsgrad, "comes_back", watched)
    amsgrad_bound(game, 0.5)
    np.testing.assert_array_equal(asked[0], [0.5, 0.5])
    np.testing.assert_array_equal(asked[1], game.x[:-1])


def test_gamma_is_that_of_the_first_momentum() -> None:
    game = play(AMSGrad(falling(0.3), shrinking(0.9), 0.5), linear(), 40, BOX)
    assert "beta1^2 < beta2" in broken(amsgrad_bound(game))


def test_adamncs_denominator_is_measured_in_units_of_the_rate() -> None:
    short = play(AdamNC(falling(0.3), 0.5), linear(), 40, BOX)
    premise = {each.name: each for each in adamnc_bound(short).premises}[
        "alpha H_t >= sqrt(g_1^2 + ... + g_t^2)"
    ]
    assert (premise.value, premise.limit) == (0.0, 0.0)
    roots = np.sqrt(np.cumsum(short.g**2, axis=0))
    half = Game(**{**vars_of(short), "method": AdamNC(lambda t: 0.6 / t**0.5, 0.5)})
    tampered = AdamNC(lambda t: 3.0 / t**0.5 if t == 1 else 0.3 / t**0.5, 0.5)
    assert half.metric == pytest.approx(short.metric / 2)
    found = adamnc_bound(Game(**{**vars_of(short), "method": tampered}))
    value = {each.name: each for each in found.premises}[premise.name].value
    expected = np.max(roots - 3.0 * Game(**{**vars_of(short), "method": tampered}).metric)
    assert value == pytest.approx(max(0.0, expected), rel=1e-9)


def test_the_tightest_line_and_its_error() -> None:
    left, right = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.5, 2.0], [3.0, 9.0]])
    sizes = np.array([[0.0, 1e16], [-1e9, 0.0]])  # the second is equal, but for a wide error
    (line,) = amsgrad._tightest("it", "round coordinate", "a formula", left, right, sizes)
    assert (line.name, line.latex) == ("it, round 2, coordinate 1", "a formula")
    assert (line.left, line.right, line.error) == (3, 3, UNITS * 1e9)


def test_the_errors_of_a_round_are_those_of_its_own_numbers() -> None:
    """Stretches of one game, so that every round is the tightest somewhere, and not only the first."""
    whole, u = play(AMSGrad(falling(0.4), 0.5, 0.9), linear(30, 3), 30, BOX), [0.5, -1.0, 0.25]
    tightest = set()
    for k in range(27):
        part = {name: getattr(whole, name)[k : k + 3] for name in ("y", "g", "losses", "scalars")}
        slots = {name: values[k : k + 3] for name, values in whole.slots.items()}
        game = Game(**{**vars_of(whole), **part, "x": whole.x[k : k + 4], "slots": slots})
        lines = {line.name.split(",")[0]: line for line in amsgrad_proof(game, u)}
        x, m, h = game.x, np.abs(game.slots["m"]), game.metric
        reach, off, n = np.abs(x[:-1]) + np.abs(u), np.abs(x - u), np.sum(m * m / h, axis=1)
        far = off[:-1] + off[1:]
        first = np.sum(m * reach + h * (reach + np.abs(x[1:])) * far, axis=1) + n
        second = np.sum(m[:-1] * (np.abs(x[:-2]) + np.abs(x[1:-1])), axis=1) + n[:-1]
        for name, sizes in (("one round", first), ("one move", second)):
            t = int(lines[name].name.split()[-1]) - 1
            tightest.add((name, t))
            assert lines[name].error == pytest.approx(UNITS * sizes[t], rel=1e-9, abs=0)
    assert {("one round", 1), ("one move", 1)} <= tightest


def test_a_rate_of_zero_in_one_round_makes_a_certificate_void() -> None:
    for zero in (1, 4):
        for method, certificate in ((AMSGrad, amsgrad_bound), (AdamNC, adamnc_bound)):
            game = play(method(lambda t, at=zero: 0.1 * (t != at)), CYCLE, 9, BOX)
            assert certificate(game).void


def test_a_method_without_beta2_is_refused() -> None:
    game = play(AdamNC(0.1), CYCLE, 9, BOX)
    for function in (amsgrad_bound, amsgrad_proof):
        with pytest.raises(TypeError, match="a method with a beta2; got one of AdamNC"):
            function(game)
