"""SGD: a step in units of the gradient, stable below 2 / L."""

import numpy as np
import pytest

from adam_tutorial import SGD, Ravine, trace


def test_the_step_is_lr_times_the_gradient() -> None:
    new, state = SGD(0.25).update(
        np.array([1.0, 2.0]), np.array([4.0, -8.0]), SGD(0.25).init(1 + np.zeros(2))
    )
    assert new.tolist() == [0.0, 4.0]
    assert state.slots == {} and state.t == 1


def test_lr_has_no_default() -> None:
    with pytest.raises(TypeError, match="lr"):
        SGD()  # type: ignore[call-arg]


def test_the_metric_is_1_over_lr() -> None:
    _, state = SGD(0.25).update(np.ones(1), np.ones(1), SGD(0.25).init(np.ones(1)))
    assert SGD(0.25).metric(state) == 4.0


@pytest.mark.parametrize(("lr", "converges"), [(0.49, True), (0.51, False)])
def test_the_ravine_is_stable_below_2_over_its_steepest_curvature(
    lr: float, converges: bool
) -> None:
    assert Ravine.curvature[1] == 4.0
    steep = np.abs(trace(SGD(lr), Ravine(), 200)[:, 1])
    assert (steep[-1] < 0.1 * steep[0]) == converges
    assert (steep[-1] > 10 * steep[0]) != converges


def test_a_learning_rate_of_zero_has_an_infinite_metric() -> None:
    sgd = SGD(0.0)
    assert sgd.metric(sgd.init(np.ones(2))) == np.inf
