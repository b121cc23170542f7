"""Projections: nearest in their own norm, for any set, weight and method; and what is refused."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cases import differing, random_like
from scipy.optimize import minimize
from test_duck import ducks, hidden

from adam_tutorial import (
    EVERYWHERE,
    L2,
    SGD,
    Adagrad,
    Adam,
    Ball,
    Box,
    Domain,
    Groups,
    Maximize,
    Nadam,
    Projected,
    Simplex,
    executors,
)
from adam_tutorial.precision import MasterWeights
from adam_tutorial.projections import _double, _floats

DOMAINS = [
    Box(-0.3, 1.2),
    Box((-1.0, 0.0, 2.0, -math.inf), (1.0, 0.0, math.inf, 5.0)),
    Ball(0.7),
    Ball(2.0, (1.0, -1.0, 0.5, 3.0)),
    Simplex(),
    Simplex(3.5),
]
each_domain = pytest.mark.parametrize("domain", DOMAINS, ids=str)
SIZE = 4


def draws(count: int, spread: float = 3.0, seed: int = 0) -> Any:
    """Points and weights over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        y = rng.standard_normal(SIZE) * 10 ** rng.uniform(-2, 2)
        yield y, 10 ** rng.uniform(-spread, spread, SIZE), rng


def point_of(domain: Domain, rng: Any) -> Any:
    """A random point of a domain, found without `project`."""
    z = rng.standard_normal(SIZE)
    if isinstance(domain, Box):
        low, high = np.maximum(domain.low, -9.0), np.minimum(domain.high, 9.0)
        return low + (high - low) * rng.random(SIZE)
    if isinstance(domain, Ball):
        return domain.radius * rng.random() * z / np.linalg.norm(z) + np.asarray(domain.center)
    return domain.total * np.abs(z) / np.sum(np.abs(z))


# --- the nearest point


@each_domain
def test_the_projection_is_in_the_domain_and_stays_there(domain: Domain) -> None:
    for y, h, _ in draws(200, 6.0):
        x = domain.project(y, h)
        assert domain.why_not(x) == "" and domain.excess(x) < 1e-14
        np.testing.assert_allclose(domain.project(x, h), x, rtol=0, atol=1e-14)


@each_domain
def test_no_point_of_the_domain_is_nearer(domain: Domain) -> None:
    """The optimality condition, sum h (x - y) (u - x) >= 0, at the corner and at random points."""
    for y, h, rng in draws(300):
        x = domain.project(y, h)
        slope = h * (x - y)
        corner = np.nan_to_num(domain.corner(slope), posinf=1e6, neginf=-1e6)
        size = np.sum(h * (np.abs(x) + np.abs(y)) * (np.abs(x) + np.abs(corner)))
        assert np.sum(slope * (corner - x)) >= -1e-13 * size
        u = point_of(domain, rng)
        assert np.sum(h * (x - y) ** 2) <= np.sum(h * (u - y) ** 2) * (1 + 1e-12)
        assert np.sum(h * (x - u) ** 2) <= np.sum(h * (y - u) ** 2) * (1 + 1e-12)


@each_domain
def test_two_projections_are_no_farther_apart(domain: Domain) -> None:
    for (y, h, _), (z, _, _) in zip(draws(200), draws(200, seed=1), strict=True):
        apart = domain.project(y, h) - domain.project(z, h)
        assert np.sum(h * apart**2) <= np.sum(h * (y - z) ** 2) * (1 + 1e-12)


@each_domain
def test_scipy_finds_the_same_point(domain: Domain) -> None:
    for y, h, rng in draws(12, 1.0, seed=3):
        found = minimize(
            lambda x, y=y, h=h: np.sum(h * (x - y) ** 2) / np.sum(h * (1 + y * y)),
            point_of(domain, rng),
            jac=lambda x, y=y, h=h: 2 * h * (x - y) / np.sum(h * (1 + y * y)),
            method="SLSQP",
            options={"ftol": 1e-16, "maxiter": 1000},
            **domain.limits(SIZE),
        )
        scale = 1 + np.abs(y).max()
        np.testing.assert_allclose(domain.project(y, h), found.x, rtol=0, atol=1e-5 * scale)


def test_known_points() -> None:
    assert Box(-1, 2).project(np.array([-3.0, 0.5, 9.0])).tolist() == [-1, 0.5, 2]
    assert Ball(1).project(np.array([3.0, 4.0])) == pytest.approx([0.6, 0.8], rel=1e-15)
    assert Ball(5, (1.0, 1.0)).project(np.array([7.0, 9.0])) == pytest.approx([4, 5], rel=1e-15)
    assert Simplex().project(np.array([0.7, 0.5, -1.0])) == pytest.approx([0.6, 0.4, 0], abs=1e-15)
    assert Simplex(2).project(np.array([5.0, 0.0]), [1, 4]).tolist() == [2, 0]
    # h (y - x) = 0.5 in both: 1 - 0.5 = 0.5 and 0.75 - 0.5 / 2 = 0.5
    found = Simplex().project(np.array([1.0, 0.75]), np.array([1.0, 2.0]))
    assert found == pytest.approx([0.5, 0.5], abs=1e-15)
    # x = h y / (h + 2), so that 3 * 3 / 5 = 1.8 and 1 * 7.2 / 3 = 2.4, which have length 3
    found = Ball(3.0).project(np.array([3.0, 7.2]), np.array([3.0, 1.0]))
    assert found == pytest.approx([1.8, 2.4], rel=1e-14)


def test_the_norm_matters_for_a_ball_and_a_simplex_and_not_for_a_box() -> None:
    y, h = np.array([3.0, 1.0, 2.5, 9.0]), np.array([1.0, 4.0, 9.0, 2.0])
    for domain in DOMAINS:
        same = np.array_equal(domain.project(y, h), domain.project(y))
        assert same == domain.separable == isinstance(domain, Box)


@pytest.mark.parametrize("domain", [Ball(1.0), Simplex()], ids=str)
def test_only_the_ratios_of_weights_matter(domain: Domain) -> None:
    for y, h, _ in draws(20):
        expected = domain.project(y, h)
        for scale in (1e-200, 0.1, 1e200):
            np.testing.assert_allclose(domain.project(y, scale * h), expected, rtol=0, atol=1e-13)
        np.testing.assert_array_equal(domain.project(y, 7.0), domain.project(y, np.ones(SIZE)))
        np.testing.assert_array_equal(domain.project(y, math.inf), domain.project(y))


@pytest.mark.parametrize("h", [1e-29, 1e-30, 1e-31, 1e-300, 5e-324])
def test_weights_may_lie_far_apart(h: float) -> None:
    assert Simplex().project([3.0, 4.0], [1, h]).tolist() == [1, 0]
    least = max(h, 1e-30)
    assert Ball(1.0).project([3.0, 4.0], [1, h]) == pytest.approx([1, 2 * least], rel=1e-9, abs=0)
    assert Ball(1.0).project([0.5, 4.0], [1, h])[0] == pytest.approx(0.5, rel=1e-12)


def test_newton_ends_for_weights_and_points_of_any_size(monkeypatch: Any) -> None:
    for y, h, rng in draws(500, 12.0, seed=5):
        y = y * 10 ** rng.uniform(-9, 9, SIZE)
        x, radius = Ball(1e-3).project(y, h), 1e-3
        assert np.linalg.norm(x) <= radius * (1 + 1e-15) or np.array_equal(x, y)
        if np.linalg.norm(y) > radius:
            assert np.linalg.norm(x) == pytest.approx(radius, rel=1e-15)


def test_large_numbers_keep_the_sum() -> None:
    assert Simplex().project([1e17, 1e17, -1e17]).tolist() == [0.5, 0.5, 0]
    for y, h, _ in draws(100):
        assert float(np.sum(Simplex(2.0).project(1e12 * y, h))) == pytest.approx(2, rel=1e-15)
    assert Simplex().project([1e10, 1e10 + 0.5]).tolist() == [0.25, 0.75]


def test_a_radius_of_0_and_a_single_share_leave_one_point() -> None:
    assert Ball(0.0, 2.0).project(np.array([5.0, 7.0]), [1, 2]).tolist() == [2, 2]
    assert Simplex(3.0).project(np.array([-8.0])).tolist() == [3]
    assert Simplex().project(np.zeros((2, 0))).shape == (2, 0)
    assert Ball(1.0).project(np.zeros(0)).size == 0


@each_domain
def test_nan_stays_nan(domain: Domain) -> None:
    y = np.array([0.5, math.nan, 0.5, 0.5])
    with np.errstate(invalid="ignore"):
        assert np.isnan(domain.project(y)[1])
    assert math.isnan(Box(-1.0, 1.0).project(math.nan))


def test_a_float_has_the_bits_of_an_array() -> None:
    for y in (-7.0, -1.0, 0.25, 2.0, 9.0, math.inf, -math.inf):
        found = Box(-1, 2).project(y)
        assert type(found) is float and found == Box(-1, 2).project(np.array([y]))[0]
    assert Box((-1.0,), (2.0,)).project(5.0).tolist() == [2.0]
    assert Box(-1.0, (2.0,)).project(5.0).tolist() == [2.0]
    assert Box((-1.0,), 2.0).project(5.0).tolist() == [2.0]


@pytest.mark.parametrize("shape", [(), (4,), (2, 2), (1, 4, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_leaf_of_any_shape_is_one_point(shape: Any, dtype: Any) -> None:
    y = (4 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    for domain in (Box(-1, 1), Ball(1.0, 0.25), Simplex(2.0)):
        x = domain.project(y, np.full(shape, 3.0))
        assert x.shape == shape and (dtype == np.float64 or x.dtype == dtype)
        expected = domain.project(np.ravel(y).astype(float))
        np.testing.assert_allclose(np.ravel(x).astype(float), expected, rtol=0, atol=1e-3)


def test_points_may_be_lists_and_whole_numbers() -> None:
    assert _floats([1, 2]).dtype == _floats(np.array([1, 2])).dtype == np.float64
    assert _floats(np.array([True])).dtype == np.float64
    for dtype in (np.float16, np.float32, np.float64):
        assert _floats(np.ones(2, dtype)).dtype == dtype
        assert _double(np.ones(2, dtype)).dtype == np.float64
    for domain in (Ball(1.0), Simplex()):
        assert domain.project([2, 0]).tolist() == [1, 0]
    assert EVERYWHERE.excess([1, 2]) == 0


def test_squares_of_single_precision_fit() -> None:
    found = Ball(1.0).project(np.array([3e30, 4e30], np.float32))
    np.testing.assert_allclose(found, [0.6, 0.8], rtol=1e-6)
    found = Simplex().project(np.array([3e38, 3e38], np.float32), np.float32(3e38))
    assert found.dtype == np.float32 and found.tolist() == [0.5, 0.5]


# --- corners, sizes, distances


@each_domain
def test_the_corner_is_where_a_slope_is_least(domain: Domain) -> None:
    for _, _, rng in draws(100):
        c = rng.standard_normal(SIZE) * (rng.random(SIZE) < 0.7)
        corner = domain.corner(c)
        u = point_of(domain, rng)
        with np.errstate(invalid="ignore"):
            terms = np.where(c == 0, 0.0, c * (corner - u))
        assert np.sum(terms) <= 1e-13
        if np.all(np.isfinite(corner)):
            assert domain.why_not(corner) == ""


def test_corners_by_hand() -> None:
    assert Box(-1, 2).corner([3.0, -3.0, 0.0]).tolist() == [-1, 2, 0]
    assert Box(1, 2).corner(0.0) == 1 and Box(-3, -2).corner([0.0]).tolist() == [-2]
    assert EVERYWHERE.corner([0.0, 2.0]).tolist() == [0, -math.inf]
    assert Ball(5.0, 1.0).corner([3.0, 4.0]).tolist() == [-2, -3]
    assert Ball(5.0, 1.0).corner(np.zeros(2)).tolist() == [1, 1]
    assert Simplex(2.0).corner([3.0, -1.0, 0.0]).tolist() == [0, 2, 0]


def test_diameters() -> None:
    assert Box(-1, 2).diameter(2, 4) == 6 and Box(-1, 2).diameter(math.inf, 4) == 3
    assert Box((0.0, 0.0), (3.0, 4.0)).diameter() == 5 and Box(-1, 2).diameter() == 3
    assert EVERYWHERE.diameter() == math.inf
    assert Ball(3.0, 7.0).diameter() == Ball(3.0).diameter(math.inf, 9) == 6
    assert Simplex(3.0).diameter(2) == pytest.approx(math.sqrt(18), rel=1e-15)
    assert Simplex(3.0).diameter(math.inf, 5) == 3 and Simplex(3.0).diameter(2, 1) == 0
    assert Simplex(3.0).diameter(math.inf, 1) == 0


@pytest.mark.parametrize("domain", [*DOMAINS[:1], *DOMAINS[2:]], ids=str)
def test_no_two_points_are_farther_apart_than_the_diameter(domain: Domain) -> None:
    longest = {2: 0.0, math.inf: 0.0}
    for _, _, rng in draws(200):
        c = rng.standard_normal(SIZE)
        ends = [point_of(domain, rng), point_of(domain, rng), domain.corner(c), domain.corner(-c)]
        for a in ends:
            for b in ends:
                for norm in longest:
                    longest[norm] = max(longest[norm], float(np.linalg.norm(a - b, norm)))
    for norm, length in longest.items():
        assert 0.8 * domain.diameter(norm, SIZE) < length <= domain.diameter(norm, SIZE) + 1e-12


def test_the_excess_is_the_longest_coordinate_of_the_way_back() -> None:
    assert Box(-1, 1).excess([0.5, 3.0, -1.5]) == 2 and Box(-1, 1).excess([1.0]) == 0
    assert Ball(1.0).excess([0.6, 0.8]) < 1e-15
    assert Ball(5.0).excess([6.0, 8.0]) == pytest.approx(4, rel=1e-15)
    assert Simplex().excess([0.75, 0.75]) == pytest.approx(0.25, rel=1e-15)
    assert Box(-1, 1).excess(np.zeros(0)) == 0


def test_why_not_allows_for_rounding_alone() -> None:
    box = Box(-1, 1)
    for dtype, rounding in ((np.float64, 1e-12), (np.float32, 1e-5), (np.float16, 1e-2)):
        assert box.why_not(np.array([1 + 1.5 * rounding], dtype)) == ""
        assert "lies outside Box(low=-1.0, high=1.0), by" in box.why_not(
            np.array([1 + 2.5 * rounding], dtype)
        )
    large = Box(-1e6, 1e6)
    assert large.why_not(np.array([1e6 + 5e-7])) == "" != large.why_not(np.array([1e6 + 2e-6]))
    for bad in (math.nan, math.inf, -math.inf):
        assert EVERYWHERE.why_not([0.0, bad]) == "it should be finite."
    assert EVERYWHERE.why_not([1e300]) == "" == EVERYWHERE.why_not(np.zeros(0))


def test_the_excess_of_single_precision_is_seen_in_double() -> None:
    assert 0 < Simplex().excess(np.full(3, 1 / 3, np.float32)) < 1e-7


def test_rounding_is_allowed_for_in_proportion() -> None:
    small = Box(-1e-3, 1e-3)
    assert small.why_not([1e-3 + 0.9e-12]) == "" != small.why_not([1e-3 + 1.5e-12])
    edge = 1e-12 * (1 + 1e-12)  # exactly the limit
    assert edge == 1e-12 * (1 + edge) and Box(0.0, 0.0).why_not([edge]) == ""


def test_a_point_of_the_sphere_is_inside() -> None:
    y = np.array([3.0, 4.0])
    assert Ball(5.0).project(y, 0.0) is y  # so nobody looks at the weights


def test_a_list_meets_a_center_of_its_own() -> None:
    assert Ball(1.0, (1.0, 2.0)).project([1, 5]).tolist() == [1, 3]


def test_a_far_point_comes_back_in_its_own_direction() -> None:
    for pull, least in ((1e3, 0.25), (1e6, 0.25), (1e12, 0.25), (4.0, 1e-30)):
        x, h = np.array([0.6, 0.8]), np.array([1.0, least])
        np.testing.assert_allclose(Ball(1.0).project(x * (1 + pull / h), h), x, rtol=1e-12)


@dataclass(frozen=True)
class Counted(SGD):
    """Its norm is a running number of its own."""

    def prepare(self, params: Any, grads: Any, state: Any) -> dict[str, float]:
        return {"count": state.scalars.get("count", 0.0) + 1}

    def metric(self, state: Any) -> Any:
        return np.array([state.count, 1.0, state.t])


def test_a_norm_may_ask_for_running_numbers() -> None:
    method, domain = Projected(Counted(1.0), Ball(1.0)), Ball(1.0)
    theta, state = np.zeros(3), method.init(np.zeros(3))
    for t in (1, 2, 3):
        g = np.array([-3.0, 2.0, -1.0])
        expected = domain.project(theta - g, [t, 1, t])
        theta, state = method.update(theta, g, state)
        assert np.array_equal(theta, expected)


# --- refusals


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Box(1, 0), "low = 1.0, high = 0.0: the set would be empty"),
        (lambda: Box((0.0, 0.0), (1.0, -1.0)), "low <= high in each coordinate"),
        (lambda: Box(math.inf, math.inf), "the set would be empty"),
        (lambda: Box(-math.inf, -math.inf), "the set would be empty"),
        (lambda: Box(math.nan, 1), "low: expected a number"),
        (lambda: Box(0, ((1.0,),)), "high: expected a number"),
        (lambda: Ball(-1), "radius that is finite and not negative"),
        (lambda: Ball(math.inf), "radius = inf"),
        (lambda: Ball(math.nan), "radius = nan"),
        (lambda: Ball(1, math.inf), "expected a finite center"),
        (lambda: Ball(1, (0.0, math.nan)), "center: expected a number"),
        (lambda: Ball(1, (0.0, math.inf)), "expected a finite center"),
        (lambda: Simplex(0), "total must be positive and finite, got 0"),
        (lambda: Simplex(math.inf), "total must be positive"),
        (lambda: Simplex(math.nan), "total must be positive"),
    ],
)
def test_sets_that_are_none_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    "h", [[1, 0], [1, -1], [1, math.nan], [1, math.inf], 0.0, -1.0, math.nan, (0.0, 0.0)]
)
@pytest.mark.parametrize("domain", [Ball(1.0), Simplex()], ids=str)
def test_weights_that_make_no_norm_are_refused(domain: Domain, h: Any) -> None:
    with pytest.raises(ValueError, match="positive and finite.*give it a positive eps"):
        domain.project(np.array([2.0, 3.0]), h)


def test_more_weights_than_coordinates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(1,\) weights, or one, got \(3,\)"):
        Ball(1.0).project(np.array([2.0]), [1, 2, 3])


def test_a_domain_of_ones_own_says_what_it_lacks() -> None:
    nothing = Domain()
    for call in (
        lambda: nothing.project(1.0),
        lambda: nothing.corner(1.0),
        lambda: nothing.diameter(),
        lambda: nothing.limits(1),
    ):
        with pytest.raises(NotImplementedError):
            call()
    assert not Domain.separable


# --- Projected


TREE = {"a": np.zeros((3, 2)), "b": np.zeros(5)}
METHODS = [SGD(0.5), Adam(0.5), Nadam(0.5), L2(Adam(0.5), 0.1), Maximize(SGD(0.5))]


def inside(domain: Domain) -> Any:
    return {name: domain.project(0.1 + leaf) for name, leaf in TREE.items()}


@pytest.mark.parametrize("step", ["step", "update"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("domain", [Box(-0.2, 0.6), Ball(0.7), Simplex(2.0)], ids=str)
def test_a_step_and_then_the_nearest_point_in_the_methods_norm(
    domain: Domain, method: Any, step: str
) -> None:
    params = inside(domain)
    projected, expected = Projected(method, domain), copy.deepcopy(params)
    state, plain = projected.init(params), method.init(params)
    moved = False
    for seed in range(5):
        g = random_like(params, seed)
        if step == "step":
            projected.step(params, g, state)
        else:
            params, state = projected.update(params, g, state)
        there, plain = method.update(expected, g, plain)
        h = method.metric(plain)
        for name in params:
            weights = h if isinstance(h, float) else h[name]
            expected[name] = domain.project(there[name], weights)
            moved |= not np.array_equal(expected[name], there[name])
    assert moved and differing(params, expected) == []
    assert differing(state.slots, plain.slots) == []


def test_a_box_is_compiled_and_a_ball_is_not() -> None:
    theta = np.zeros(3)
    for domain, words in ((Box(-1, 1), "NumPy, slices"), (Ball(1.0), "it needs whole leaves")):
        method = Projected(Adam(), domain)
        assert words in executors.explain(method, theta, method.init(theta))
    assert not Projected(Adam(), Box((-1.0, 0.0, 0.0), (1.0, 1.0, 1.0))).elementwise
    assert not Projected(Adam(), Box(-1.0, (1.0, 1.0, 1.0))).elementwise


def test_a_box_with_a_bound_for_each_coordinate() -> None:
    method = Projected(SGD(1.0), Box((-1.0, 0.0), 0.5))
    theta, state = method.update(
        np.array([0.0, 0.0]), np.array([9.0, -9.0]), method.init(np.zeros(2))
    )
    assert theta.tolist() == [-1, 0.5] and state.t == 1


@pytest.mark.parametrize(
    "domain", [Box((-0.2,) * 5, (0.3,) * 5), Ball(0.7, (0.1,) * 5), Ball(0.7), Simplex()], ids=str
)
def test_ducks_get_the_bits_of_numpy(domain: Domain) -> None:
    method, theta = Projected(Adam(0.5), domain), domain.project(np.full(5, 0.2))
    grads = [random_like(theta, seed) for seed in range(3)]
    found = []
    for make in (ducks, lambda tree: tree):
        params = make(theta)
        state = method.init(params)
        for g in grads:
            params, state = method.update(params, make(g), state)
        found.append(params)
    assert differing(hidden(found[0]), found[1]) == []


def test_each_group_may_have_a_domain_of_its_own() -> None:
    groups = Groups(Projected(SGD(1.0), Box(-1, 1)), {"b": {"domain": Box(-2, 3)}})
    params = {"a": np.zeros(2), "b": np.zeros(2)}
    g = {"a": np.array([9.0, -9.0]), "b": np.array([9.0, -9.0])}
    new, _ = groups.update(params, g, groups.init(params))
    assert new["a"].tolist() == [-1, 1] and new["b"].tolist() == [-2, 3]


def test_groups_inside_keep_their_running_numbers() -> None:
    """The metric of a group is computed from its own scalars, which Nadam has."""
    params = inside(Ball(0.7))
    alone = Projected(Nadam(0.5), Ball(0.7))
    grouped = Projected(Groups(Nadam(0.5), {"a": {"lr": 0.5}}), Ball(0.7))
    found = []
    for method in (alone, grouped):
        theta, state = copy.deepcopy(params), method.init(params)
        for seed in range(3):
            theta, state = method.update(theta, random_like(theta, seed), state)
        found.append(theta)
    assert differing(*found) == []


def test_a_rate_of_0_moves_nothing() -> None:
    for domain in (Ball(1.0), Simplex()):
        method, theta = Projected(SGD(0.0), domain), np.array([0.6, 0.4])
        new, _ = method.update(theta, np.ones(2), method.init(theta))
        np.testing.assert_allclose(new, theta, rtol=0, atol=1e-15)


def test_masters_are_brought_back_inside_their_wrapper() -> None:
    method = MasterWeights(Projected(SGD(1.0), Box(-1, 1)))
    theta = np.zeros(3, np.float16)
    new, state = method.update(theta, np.full(3, -9.0, np.float16), method.init(theta))
    assert new.tolist() == state.slots["master"].tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match="would miss the master weights. Put them outside"):
        Projected(MasterWeights(SGD(1.0)), Box(-1, 1))


def test_what_cannot_be_projected_is_refused() -> None:
    with pytest.raises(TypeError, match="domain: expected a Box, Ball or Simplex, got 1.0"):
        Projected(SGD(1.0), 1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="it is Projected already"):
        Projected(Projected(SGD(1.0), Box(0, 1)), Box(-5, 5))
    with pytest.raises(TypeError, match="it is Projected already"):
        Projected(L2(Projected(SGD(1.0), Box(0, 1)), 0.1), Box(-5, 5))
    with pytest.raises(TypeError, match="inner: expected an optimizer"):
        Projected(1.0, Box(0, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("domain", [Box(-1, 1), Ball(1.0), Simplex()], ids=str)
def test_a_start_outside_is_refused_and_named(domain: Domain) -> None:
    params = {"fine": domain.project(np.zeros(2)), "far": np.array([0.0, 7.0])}
    with pytest.raises(ValueError, match="params/far: it lies outside .*, by .*Start inside"):
        Projected(Adam(), domain).init(params)


def test_projected_is_equal_hashable_and_everywhere_by_default() -> None:
    assert Projected(SGD(1.0)).domain == EVERYWHERE == Box(-math.inf, math.inf)
    one, two = (Projected(SGD(1.0), Box(-1, high)) for high in (1, 2))
    assert one == Projected(SGD(1.0), Box(-1.0, 1.0)) != two and len({one, two, one}) == 2


@dataclass(frozen=True)
class Half(Domain):
    """All points whose first coordinate is not negative: a set that the package does not know."""

    def project(self, y: Any, h: Any = 1.0) -> Any:
        return np.concatenate([np.maximum(y[:1], 0.0), y[1:]])


def test_a_set_of_ones_own() -> None:
    method = Projected(SGD(1.0), Half())
    theta, _ = method.update(np.ones(2), np.array([3.0, 3.0]), method.init(np.ones(2)))
    assert theta.tolist() == [0, -2]
    with pytest.raises(ValueError, match="outside Half"):
        method.init(np.array([-1.0, 0.0]))


def test_a_way_back_that_is_refused_leaves_everything_as_it_was() -> None:
    method = Projected(Adagrad(50.0, eps=0.0), Simplex(1.0))
    params = {"a": np.array([0.9, 0.1]), "b": np.array([0.5, 0.5])}
    state = method.init(params)
    before = repr((params, state.t, state.slots))
    grads = {"a": np.array([1.0, 2.0]), "b": np.array([1.0, 0.0])}
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="must be positive"):
        method.step(params, grads, state)
    assert repr((params, state.t, state.slots)) == before
    stepped = params["a"]
    expected, _ = method.update(params, sound := {**grads, "b": np.array([1.0, 0.5])}, state)
    method.step(params, sound, state)
    assert state.t == 1 and params["a"] is stepped
    assert all(np.array_equal(params[name], expected[name]) for name in params)


@pytest.mark.parametrize("kind", [Ball, Simplex])
@pytest.mark.parametrize("size", ["a", None, [1.0, 2.0], np.ones(2)])
def test_a_size_is_one_number(kind: Any, size: Any) -> None:
    with pytest.raises(
        ValueError, match="(radius|total): expected|expected a finite center|total must be"
    ):
        kind(size)


def test_the_sides_of_a_box_have_one_length() -> None:
    for low, high in (((0, 0), (1, 1, 1)), ((), ())):
        with pytest.raises(ValueError, match="low, high: expected one length"):
            Box(low, high)
    with pytest.raises(ValueError, match="low: expected a number, or one for each coordinate"):
        Box("a", 1.0)  # type: ignore[arg-type]
    assert Box((0.0, 0.0), 1.0).high == 1.0
