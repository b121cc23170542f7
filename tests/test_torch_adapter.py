"""The adapter takes the package's own steps on torch's tensors, and is a torch optimizer in all else.

What holds for any optimizer runs over the table in `cases.py`. The tests on a GPU are the last.
"""

import copy
import io
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from cases import CASES, SEQUENCES, STEPS, Case, gradients, start

import adam_tutorial
from adam_tutorial import SGD, Adam, Optimizer, State, backends
from adam_tutorial.torch_adapter import TorchOptimizer, array_view

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CuPy warns of a half-installed CUDA as it is imported
    HAS_GPU = torch.cuda.is_available() and "cupy" in backends.available()

NUMPY = {
    torch.float64: np.float64,
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.bfloat16: ml_dtypes.bfloat16,
}
HALF = (torch.float16, torch.bfloat16)
SHAPES = {"w": (3, 4), "scalar": (), "empty": (0, 2), "long": (40_000,), "one": (1,)}
TORCH_CASES = [case for case in CASES if case.name != "Groups"]  # torch has groups of its own
each_case = pytest.mark.parametrize("case", TORCH_CASES, ids=str)
each_dtype = pytest.mark.parametrize("dtype", NUMPY, ids=str)


@pytest.fixture
def float64() -> Iterator[None]:
    """Torch with float64 as its default: some optimizers keep scalars in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@dataclass(frozen=True)
class Counted(Optimizer):
    """A method with a running number: the product of 1 - 1/(t + 1), which scales the step."""

    lr: float = 0.1
    slots = ("m",)

    def prepare(self, params: Any, grads: Any, state: State) -> dict[str, float]:
        return {"product": state.scalars.get("product", 1.0) * (1 - 1 / (state.t + 2))}

    @staticmethod
    def rule(theta: Any, g: Any, m: Any, *, lr: float, product: float) -> tuple[Any, Any]:
        m = 0.5 * m + g
        return theta - lr * product * m, m


@dataclass(frozen=True)
class Wrapped(Optimizer):
    """A method inside another, with a number of its own."""

    inner: Optimizer = Adam()
    scale: float = 1.0

    def __post_init__(self) -> None:
        pass

    @property
    def slots(self) -> Any:  # type: ignore[override]
        return self.inner.slots

    def hyper(self, t: int) -> dict[str, float]:
        return self.inner.hyper(t)

    @property
    def rule(self) -> Any:  # type: ignore[override]
        return self.inner.rule


@dataclass(frozen=True)
class WholeLeaf(SGD):
    """A method that needs a leaf at once."""

    elementwise = False


METHODS = [*TORCH_CASES, Case("Counted", Counted, CASES[0].moment)]
each_method_alone = pytest.mark.parametrize("case", [c for c in METHODS if not c.across], ids=str)
each_method = pytest.mark.parametrize("case", METHODS, ids=str)


def tensors(dtype: Any, device: str = "cpu", seed: int = 0) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    found = {
        name: torch.randn(shape, generator=made, dtype=torch.float64).to(device, dtype)
        for name, shape in SHAPES.items()
    }
    return {name: p.requires_grad_() for name, p in found.items()}


def set_gradients(params: Any, seed: int) -> None:
    made = torch.Generator().manual_seed(seed)
    for p in params:
        g = torch.randn(p.shape, generator=made, dtype=torch.float64)
        p.grad = g.to(p.device, p.dtype)


def run(optimizer: Any, steps: range) -> None:
    for seed in steps:
        set_gradients([p for group in optimizer.param_groups for p in group["params"]], seed)
        optimizer.step()


def bits(tensor: torch.Tensor) -> tuple[Any, ...]:
    array = array_view(tensor.detach().cpu())
    return tensor.dtype, tuple(tensor.shape), array.tobytes()


def everything(optimizer: Any) -> list[Any]:
    """The bits of all parameters, and of all that is kept for them."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    kept = [sorted(optimizer.state[p].items()) for p in params]
    return [
        [bits(p) for p in params],
        [[(k, bits(v) if isinstance(v, torch.Tensor) else v) for k, v in row] for row in kept],
    ]


def saved_and_loaded(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


# ---- One memory, two names


@each_dtype
def test_a_view_looks_at_the_same_memory(dtype: Any) -> None:
    tensor = torch.zeros(2, 3, dtype=dtype, requires_grad=True)
    array = array_view(tensor)
    assert array.dtype == NUMPY[dtype] and array.shape == (2, 3)
    array[1, 2] = 5
    assert tensor[1, 2] == 5 and not array.flags.owndata
    assert array.__array_interface__["data"][0] == tensor.data_ptr()


def test_a_view_keeps_strides() -> None:
    tensor = torch.arange(12.0).reshape(3, 4)
    assert np.array_equal(array_view(tensor.t()), tensor.numpy().T)
    assert array_view(tensor[:, ::2]).strides == (16, 8)


@each_case
def test_the_package_steps_tensors_in_place_without_the_adapter(case: Case) -> None:
    params, method = tensors(torch.float32), case.make()
    before = {name: p.detach().clone() for name, p in params.items()}
    arrays = {name: array_view(p, name) for name, p in params.items()}
    method.step(arrays, {name: np.ones_like(a) for name, a in arrays.items()}, method.init(arrays))
    assert all(not torch.equal(before[name], p) for name, p in params.items() if p.numel())


# ---- The package's own steps


@each_dtype
@each_method
def test_the_adapter_gives_the_bits_of_the_packages_step(case: Case, dtype: Any) -> None:
    params, method = tensors(dtype), case.make()
    arrays = {name: array_view(p).copy() for name, p in params.items()}
    state, optimizer = method.init(arrays), TorchOptimizer(params.items(), method)
    for seed in range(1, 6):
        set_gradients(params.values(), seed)
        grads = {name: array_view(p.grad).copy() for name, p in params.items()}
        method.step(arrays, grads, state)
        optimizer.step()
    for name, p in params.items():
        assert array_view(p).tobytes() == arrays[name].tobytes()
        kept = optimizer.state[p]
        assert kept["step"] == 5
        for slot in method.slots:
            assert array_view(kept[slot]).tobytes() == state.slots[slot][name].tobytes()
            assert array_view(kept[slot]).dtype == state.slots[slot][name].dtype
        assert {k: kept[k] for k in state.scalars} == state.scalars


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("case", [case for case in TORCH_CASES if case.torch], ids=str)
def test_the_adapter_agrees_with_torchs_own(case: Case, sequence: str) -> None:
    ours, theirs = (torch.tensor(start(sequence), requires_grad=True) for _ in range(2))
    assert case.torch
    pairs = [(ours, TorchOptimizer([ours], case.make())), (theirs, case.torch([theirs]))]
    apart, largest = 0.0, 0.0
    for g in gradients(sequence):
        for p, optimizer in pairs:
            p.grad = torch.tensor(g)
            optimizer.step()
        apart = max(apart, float((ours - theirs).detach().abs().max()))
        largest = max(largest, float(theirs.detach().abs().max()))
    assert apart <= 1e-12 * largest
    assert optimizer.state[theirs].get("step", STEPS) == STEPS


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    ).double()


def test_a_real_model_learns_to_read_digits() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    pixels, labels = map(torch.tensor, datasets.load_digits(return_X_y=True))
    ours, theirs = network(), network()
    method = Adam(lr=1e-2)
    pairs: list[tuple[Any, Any]] = [
        (ours, TorchOptimizer(ours.named_parameters(), method)),
        (theirs, torch.optim.Adam(theirs.parameters(), lr=1e-2)),
    ]
    for model, optimizer in pairs:
        for t in range(100):
            rows = slice(64 * (t % 22), 64 * (t % 22) + 64)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(pixels[rows] / 16), labels[rows])
            loss.backward()
            optimizer.step()
    accuracy = (ours(pixels[1437:] / 16).argmax(dim=1) == labels[1437:]).double().mean()
    assert accuracy > 0.85
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        apart = float((p - q).detach().abs().max())
        assert apart <= 1e-10 * float(q.detach().abs().max())


# ---- Groups, schedulers, schedules


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=3, gamma=0.5),
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(
        o, max_lr=0.1, total_steps=20, cycle_momentum=False
    ),
}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_torchs_schedulers_change_the_step(scheduler: str) -> None:
    ends = []
    for make in (
        lambda p: TorchOptimizer([p], Adam(lr=0.01)),
        lambda p: torch.optim.Adam([p], lr=0.01),
        lambda p: TorchOptimizer([p], Adam(lr=0.01)),
    ):
        p = torch.ones(4, dtype=torch.float64, requires_grad=True)
        optimizer = make(p)
        schedule = SCHEDULERS[scheduler](optimizer) if len(ends) < 2 else None
        for seed in range(12):
            set_gradients([p], seed)
            optimizer.step()
            if schedule:
                schedule.step()
        ends.append(p.detach())
    ours, theirs, unscheduled = ends
    assert float((ours - theirs).abs().max()) <= 1e-12
    assert float((ours - unscheduled).abs().max()) > 1e-3


def test_a_schedule_of_the_book_is_called_with_the_step() -> None:
    p = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = TorchOptimizer([p], SGD(lr=lambda t: 1 / t))
    for _ in range(3):
        p.grad = torch.ones_like(p)
        optimizer.step()
    assert torch.allclose(p, torch.full_like(p, -(1 + 1 / 2 + 1 / 3)))


def test_a_schedule_is_not_saved_and_stays_through_a_load() -> None:
    p = torch.zeros(2, requires_grad=True)
    optimizer = TorchOptimizer([p], Adam(lr=lambda t: 1 / t))
    run(optimizer, range(2))
    saved = saved_and_loaded(optimizer.state_dict())
    assert "lr" not in saved["param_groups"][0] and saved["param_groups"][0]["beta1"] == 0.9
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"](4) == 0.25


def test_a_tensor_learning_rate_may_change_in_place() -> None:
    p, lr = torch.zeros(1, requires_grad=True), torch.tensor(1.0)
    optimizer = TorchOptimizer([{"params": [p], "lr": lr}], SGD(lr=0.0))
    for _ in range(2):
        p.grad = torch.ones(1)
        optimizer.step()
        lr.fill_(0.25)
    assert p.item() == -1.25


def test_other_numbers_may_change_too_and_a_bad_one_is_refused() -> None:
    p, q = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    ours, theirs = TorchOptimizer([p], Adam(lr=0.1)), torch.optim.Adam([q], lr=0.1)
    for optimizer in (ours, theirs):
        run(optimizer, range(1))
    ours.param_groups[0].update(beta1=0.5, eps=1e-3)
    theirs.param_groups[0].update(betas=(0.5, 0.999), eps=1e-3)
    for optimizer in (ours, theirs):
        run(optimizer, range(1, 3))
    assert torch.allclose(p, q, rtol=1e-13, atol=0)
    ours.param_groups[0]["beta1"] = 1.0
    with pytest.raises(ValueError, match="^group 0: beta1 must be at least 0 and below 1, got 1.0"):
        run(ours, range(1))
    ours.param_groups[0].update(beta1=0.5, lr=lambda t: -t)
    with pytest.raises(ValueError, match="^group 0: lr at step 4 must be finite and"):
        run(ours, range(1))


def test_a_group_that_is_replaced_is_the_one_that_counts() -> None:
    p = torch.zeros(1, requires_grad=True)
    optimizer = TorchOptimizer([p], SGD(lr=0.5))
    p.grad = torch.ones(1)
    optimizer.step()
    optimizer.param_groups[0] = {**optimizer.param_groups[0], "lr": 0.25}
    optimizer.step()
    assert p.item() == -0.75


def test_groups_override_hyper_parameters_by_name() -> None:
    a, b, c = (torch.zeros(1, requires_grad=True) for _ in range(3))
    optimizer = TorchOptimizer(
        [{"params": [a], "lr": 0.5}, {"params": b, "lr": 0.25}, {"params": [c]}], SGD(lr=0.125)
    )
    for p in (a, b, c):
        p.grad = torch.ones(1)
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == [-0.5, -0.25, -0.125]


def test_a_wrappers_inner_numbers_live_in_the_group_as_well() -> None:
    p = torch.zeros(1, requires_grad=True)
    optimizer = TorchOptimizer([p], Wrapped(SGD(lr=0.5), scale=2.0))
    assert {k: v for k, v in optimizer.param_groups[0].items() if k != "params"} == {
        "lr": 0.5,
        "scale": 2.0,
    }
    made = optimizer._method_of(0)
    optimizer.param_groups[0]["lr"] = 0.25
    assert optimizer._method_of(0) is made  # a scheduler's number needs no new method
    p.grad = torch.ones(1)
    optimizer.step()
    assert p.item() == -0.25


def test_a_group_may_be_added_later() -> None:
    a, b = (torch.zeros(1, requires_grad=True) for _ in range(2))
    optimizer = TorchOptimizer([a], Counted())
    run(optimizer, range(2))
    optimizer.add_param_group({"params": [b], "lr": 0.5})
    run(optimizer, range(2))
    assert optimizer.state[a]["step"] == 4 and optimizer.state[b]["step"] == 2
    assert optimizer.param_groups[1]["lr"] == 0.5


# ---- Parameters come and go


@each_method_alone
def test_a_parameter_without_a_gradient_is_left_out_and_does_not_count(case: Case) -> None:
    def alone(seeds: list[int]) -> torch.Tensor:
        p = torch.ones(3, dtype=torch.float64, requires_grad=True)
        optimizer = TorchOptimizer([p], case.make())
        for seed in seeds:
            set_gradients([p], seed)
            optimizer.step()
        return p

    a, b = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = TorchOptimizer([a, b], case.make())
    for seed in range(6):
        for p in (a, b):
            set_gradients([p], seed)
        if seed in (1, 2):
            b.grad = None
        optimizer.step()
    assert bits(a) == bits(alone([0, 1, 2, 3, 4, 5]))
    assert bits(b) == bits(alone([0, 3, 4, 5]))
    assert [optimizer.state[p]["step"] for p in (a, b)] == [6, 4]


def test_equal_counts_with_different_scalars_are_not_stepped_together() -> None:
    a, b = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = TorchOptimizer([a, b], Counted())
    run(optimizer, range(2))
    optimizer.state[b]["product"] = 0.125
    run(optimizer, range(2, 3))
    products = [optimizer.state[p]["product"] for p in (a, b)]
    assert products == pytest.approx([1 / 4, 0.125 * 3 / 4])


def test_nothing_happens_without_gradients() -> None:
    p = torch.ones(3, requires_grad=True)
    optimizer = TorchOptimizer([p], Adam())
    assert optimizer.step() is None
    assert not optimizer.state and torch.equal(p, torch.ones(3))


@each_method
def test_new_memory_for_a_parameter_is_noticed(case: Case) -> None:
    p, q = (torch.ones(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    ours, plain = (TorchOptimizer([x], case.make()) for x in (p, q))
    run(ours, range(2))
    run(plain, range(2))
    old = p.detach()
    p.data = p.data.clone()
    before = old.clone()
    run(ours, range(2, 4))
    run(plain, range(2, 4))
    assert bits(p) == bits(q) and bits(old) == bits(before)


def test_new_strides_of_the_same_memory_are_noticed() -> None:
    p = torch.randn(3, 3, requires_grad=True)
    optimizer = TorchOptimizer([p], SGD(lr=0.5))
    run(optimizer, range(1))
    p.data = p.data.t()
    set_gradients([p], 1)
    before = p.detach().clone()
    optimizer.step()
    assert torch.equal(p, before - 0.5 * p.grad)


def test_a_slot_that_was_replaced_is_the_one_that_is_stepped() -> None:
    p = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = TorchOptimizer([p], Counted())
    run(optimizer, range(1))
    held = optimizer.state[p]["m"] = torch.zeros_like(p)
    run(optimizer, range(1, 2))
    assert optimizer.state[p]["m"] is held and torch.equal(held, p.grad)


def test_a_count_or_a_scalar_that_was_changed_is_used() -> None:
    p = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = TorchOptimizer([p], Counted())
    run(optimizer, range(1))
    optimizer.state[p]["step"] = 8
    run(optimizer, range(1))
    assert optimizer.state[p]["step"] == 9
    assert optimizer.state[p]["product"] == pytest.approx(0.5 * 0.9)
    optimizer.state[p]["product"] = 11.0
    run(optimizer, range(1))
    assert optimizer.state[p]["product"] == pytest.approx(10.0)


def test_a_model_that_changes_its_dtype_needs_new_slots() -> None:
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = TorchOptimizer([("w", p)], Adam())
    run(optimizer, range(1))
    p.data = p.data.double()
    with pytest.raises(ValueError, match=r"state.m of params/w: .* float64 .* got .* float32"):
        run(optimizer, range(1))


@each_method
@each_dtype
def test_channels_last_is_stepped_where_it_lies(case: Case, dtype: Any) -> None:
    made = torch.randn(4, 3, 2, 5, dtype=torch.float64).to(dtype)
    usual = made.clone().requires_grad_()
    last = made.clone(memory_format=torch.channels_last).requires_grad_()
    address, strides = last.data_ptr(), last.stride()
    optimizers = [TorchOptimizer([p], case.make()) for p in (usual, last)]
    for optimizer in optimizers:
        run(optimizer, range(3))
    assert last.data_ptr() == address and last.stride() == strides != usual.stride()
    if case.ulps:  # a sum over all gradients goes through memory in another order
        assert torch.allclose(usual, last, rtol=16 * torch.finfo(dtype).eps, atol=0)
        return
    assert bits(usual) == bits(last.contiguous())
    kept, turned = (o.state[p] for o, p in zip(optimizers, (usual, last), strict=True))
    for slot in case.make().slots:
        assert turned[slot].stride() == strides
        assert bits(kept[slot]) == bits(turned[slot].contiguous())


# ---- Checkpoints: resumed is never stopped


def loaded(optimizer: Any, method: Optimizer) -> Any:
    """A new optimizer of copied parameters, with the state of another, from a file."""
    params = [p.detach().clone().requires_grad_() for p in optimizer.param_groups[0]["params"]]
    fresh = TorchOptimizer(params, method)
    fresh.load_state_dict(saved_and_loaded(optimizer.state_dict()))
    return fresh


COPIES: dict[str, Callable[[Any, Optimizer], Any]] = {
    "load_state_dict": loaded,
    "deepcopy": lambda optimizer, method: copy.deepcopy(optimizer),
    "pickle": lambda optimizer, method: pickle.loads(pickle.dumps(optimizer)),
}


@pytest.mark.parametrize("copied", COPIES)
@each_dtype
@each_method
def test_resumed_is_never_stopped(case: Case, dtype: Any, copied: str) -> None:
    optimizer = TorchOptimizer(tensors(dtype).values(), case.make())
    run(optimizer, range(3))
    other = COPIES[copied](optimizer, case.make())
    assert everything(other) == everything(optimizer)
    run(optimizer, range(3, 6))
    stopped = everything(other)
    run(other, range(3, 6))
    assert everything(other) == everything(optimizer) != stopped


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_slots_of_half_parameters_stay_float32_through_a_checkpoint(dtype: Any) -> None:
    optimizer = TorchOptimizer(tensors(dtype).values(), Adam())
    run(optimizer, range(2))
    other = loaded(optimizer, Adam())
    for kept in other.state.values():
        assert kept["m"].dtype == kept["v"].dtype == torch.float32
        assert type(kept["step"]) is int
    theirs = torch.optim.Adam(tensors(dtype).values())  # torch's own loses them: hence the test
    theirs.load_state_dict(
        other.state_dict() | {"param_groups": theirs.state_dict()["param_groups"]}
    )
    assert next(iter(theirs.state.values()))["m"].dtype == dtype


def test_a_loaded_state_shares_no_memory_with_the_checkpoint() -> None:
    optimizer = TorchOptimizer(tensors(torch.float64).values(), Adam())
    run(optimizer, range(2))
    saved = copy.deepcopy(optimizer.state_dict())
    other = TorchOptimizer(tensors(torch.float64).values(), Adam())
    other.load_state_dict(saved)
    run(other, range(2))
    assert all(
        torch.equal(saved["state"][i][slot], optimizer.state_dict()["state"][i][slot])
        for i in saved["state"]
        for slot in ("m", "v")
    )


def test_a_checkpoint_of_another_memory_format_is_laid_out_anew() -> None:
    made = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    usual, last = made.clone(), made.clone(memory_format=torch.channels_last)
    optimizer = TorchOptimizer([usual.requires_grad_()], Adam())
    run(optimizer, range(2))
    last.copy_(usual.detach())
    other = TorchOptimizer([last.requires_grad_()], Adam())
    other.load_state_dict(optimizer.state_dict())
    for each in (optimizer, other):
        run(each, range(2, 4))
    assert bits(usual) == bits(last.contiguous())


def test_hooks_on_loading_see_and_change_the_state() -> None:
    optimizer = TorchOptimizer([torch.ones(2, dtype=torch.float16, requires_grad=True)], Adam())
    run(optimizer, range(1))
    saved = optimizer.state_dict()
    seen = []

    def before(optimizer: Any, state_dict: Any) -> Any:
        group = {**state_dict["param_groups"][0], "lr": 0.5}
        return {**state_dict, "param_groups": [group]}

    optimizer.register_load_state_dict_pre_hook(before)
    optimizer.register_load_state_dict_post_hook(
        lambda optimizer: seen.extend(kept["m"].dtype for kept in optimizer.state.values())
    )
    for _ in range(2):
        optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.5 and seen == [torch.float32] * 2


def test_the_given_checkpoint_is_not_changed() -> None:
    optimizer = TorchOptimizer([torch.ones(2, requires_grad=True)], Adam())
    run(optimizer, range(1))
    saved = optimizer.state_dict()
    keys = {i: list(kept) for i, kept in saved["state"].items()}
    types = [type(value) for value in saved["state"][0].values()]
    optimizer.load_state_dict(saved)
    assert keys == {i: list(kept) for i, kept in saved["state"].items()}
    assert types == [type(value) for value in saved["state"][0].values()]


def adam_of(*shapes: Any) -> Any:
    optimizer = TorchOptimizer([torch.ones(shape, requires_grad=True) for shape in shapes], Adam())
    run(optimizer, range(1))
    return optimizer


def torchs_own() -> Any:
    p = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.Adam([p])
    run(optimizer, range(1))
    return optimizer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: adam_of(3), r"state.m of params/group 0, parameter 0: expected shape \(2,\), the "
         r"checkpoint has \(3,\)"),
        (lambda: adam_of(1), r"expected shape \(2,\), the checkpoint has \(1,\)"),
        (torchs_own, "params/group 0, parameter 0: expected a checkpoint with step, m, v; got step, "
         "exp_avg, exp_avg_sq"),
        (lambda: adam_of(2, 2), "doesn't match the size of optimizer's group"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused(make: Any, message: str) -> None:
    optimizer = adam_of(2)
    before = everything(optimizer)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(make().state_dict())
    assert everything(optimizer) == before
    optimizer.load_state_dict(optimizer.state_dict())  # no hook is left behind


# ---- What torch expects of an optimizer


def test_a_stale_graph_raises_instead_of_using_new_values() -> None:
    p = torch.ones(2, requires_grad=True)
    optimizer = TorchOptimizer([p], Adam())
    loss = (p * p).sum()
    p.grad = torch.ones(2)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned() -> None:
    p = torch.ones(2, requires_grad=True)
    optimizer = TorchOptimizer([p], SGD(lr=0.25))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure) == 2
    assert p.tolist() == [0.5, 0.5]


def test_zero_grad_and_hooks_are_torchs() -> None:
    p = torch.ones(2, requires_grad=True)
    optimizer = TorchOptimizer([p], SGD(lr=0.25))
    seen: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    p.grad = torch.ones(2)
    optimizer.step()
    optimizer.zero_grad()
    assert p.grad is None and seen == ["before", "after"]
    assert isinstance(optimizer, torch.optim.Optimizer)


@pytest.mark.parametrize("bad", [False, True])
def test_a_grad_scaler_unscales_and_skips(bad: bool) -> None:
    p = torch.ones(2, requires_grad=True)
    optimizer = TorchOptimizer([p], SGD(lr=0.25))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale((p * (torch.inf if bad else 1)).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == ([1, 1] if bad else [0.75, 0.75])


def test_a_gradient_that_itself_has_a_graph_is_used() -> None:
    p = torch.ones(2, requires_grad=True)
    optimizer = TorchOptimizer([p], SGD(lr=0.25))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the cycle that this makes
        (p * p).sum().backward(create_graph=True)
    optimizer.step()
    assert p.tolist() == [0.5, 0.5]
    p.grad = None


# ---- Bad input


def unlike(**given: Any) -> torch.Tensor:
    return torch.ones(2, **given)


BAD_TENSORS: dict[str, tuple[Callable[[], Any], str]] = {
    "sparse": (lambda: torch.eye(2).to_sparse(), "got layout torch.sparse_coo. Make it dense with"),
    "complex": (lambda: unlike(dtype=torch.complex64), "got dtype torch.complex64. Convert it"),
    "integer": (lambda: unlike(dtype=torch.int64), "got dtype torch.int64"),
    "bool": (lambda: unlike(dtype=torch.bool), "got dtype torch.bool"),
    "float8": (lambda: torch.empty(2, dtype=torch.float8_e5m2), "got dtype torch.float8_e5m2"),
    "meta": (lambda: unlike(device="meta"), "got device meta. Move it with to()"),
    "an array": (lambda: np.ones(2), "got ndarray. Pass a torch.Tensor"),
    "uninitialized": (torch.nn.UninitializedParameter, "got a UninitializedParameter without"),
    "a negative view": (lambda: torch.ones(2, dtype=torch.complex64).conj().imag, "negative bit"),
}


@pytest.mark.parametrize("what", BAD_TENSORS)
def test_a_tensor_that_no_array_can_show_is_refused_by_name(what: str) -> None:
    make, message = BAD_TENSORS[what]
    with pytest.raises(TypeError, match="^enc/w: expected a ") as error:
        array_view(make(), "enc/w")
    assert message in str(error.value) and str(error.value).endswith("Nothing was changed.")


@pytest.mark.parametrize("what", ["sparse", "complex", "meta", "uninitialized"])
def test_a_bad_parameter_is_refused_when_the_optimizer_is_made(what: str) -> None:
    bad = BAD_TENSORS[what][0]()
    good = torch.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match="^params/enc.w: expected a "):
        TorchOptimizer([("w", good), ("enc.w", bad)], Adam())
    optimizer = TorchOptimizer([good], Adam())
    with pytest.raises(TypeError, match="^params/group 1, parameter 0: expected a "):
        optimizer.add_param_group({"params": [bad]})
    assert len(optimizer.param_groups) == 1
    run(optimizer, range(1))


@each_method
def test_a_sparse_gradient_is_refused_by_name_and_nothing_is_changed(case: Case) -> None:
    layer, other = torch.nn.Embedding(4, 2, sparse=True), torch.ones(2, requires_grad=True)
    named = [("other", other), ("emb.weight", layer.weight)]
    optimizer = TorchOptimizer(named, case.make())
    other.grad = torch.ones(2)
    layer(torch.tensor([1])).sum().backward()
    before = [other.detach().clone(), layer.weight.detach().clone()]
    message = r"^the gradient of params/emb.weight: .* got layout torch.sparse_coo\. .*to_dense\(\)"
    with pytest.raises(TypeError, match=message):
        optimizer.step()
    assert torch.equal(other, before[0]) and torch.equal(layer.weight, before[1])
    assert not optimizer.state
    layer.weight.grad = layer.weight.grad.to_dense()
    optimizer.step()
    assert optimizer.state[other]["step"] == 1


def strided(shape: Any, *strides: int) -> torch.Tensor:
    return torch.ones(64).as_strided(shape, strides).requires_grad_()


def shared() -> list[torch.Tensor]:
    memory = torch.ones(6)
    return [memory[:4].requires_grad_(), memory[3:].requires_grad_()]


W = "params/group 0, parameter"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TorchOptimizer([strided((2,), 1)], torch.optim.Adam), TypeError,
         "method: expected an optimizer of adam_tutorial, .* got type"),
        (lambda: TorchOptimizer([strided((2,), 2)], Adam()), ValueError,
         rf"^{W} 0: expected a tensor without gaps, .* shape \(2,\) with strides \(2,\)"),
        (lambda: TorchOptimizer([strided((2, 2), 1, 2)], WholeLeaf(lr=0.1)), ValueError,
         rf"^{W} 0: expected a tensor without gaps, contiguous, got"),
        (lambda: TorchOptimizer(shared(), Adam()), ValueError, f"^{W} 0 and {W} 1 share memory"),
        (lambda: TorchOptimizer([{"params": p} for p in shared()], Adam()), ValueError,
         "share memory"),
        (lambda: TorchOptimizer([{"params": shared()[:1], "betas": (0.9, 0.99)}], Adam()),
         ValueError, "^group 0: Adam has no hyper-parameter 'betas'; it has lr, beta1, beta2, eps"),
        (lambda: TorchOptimizer([{"params": shared()[:1], "beta1": 1.0}], Adam()), ValueError,
         "^group 0: beta1 must be at least 0 and below 1, got 1.0. Nothing was changed"),
        (lambda: TorchOptimizer([{"params": shared()[:1], "lr": "fast"}], Adam()), TypeError,
         "^group 0: lr at step 1 must be a number, got 'fast'"),
        (lambda: TorchOptimizer(torch.ones(2), Adam()), TypeError, "an iterable of Tensors"),
        (lambda: TorchOptimizer([], Adam()), ValueError, "empty parameter list"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_a_sentence(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_scheduler_that_goes_out_of_range_is_refused_with_its_group() -> None:
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    optimizer = TorchOptimizer([{"params": a}, {"params": b}], Adam())
    optimizer.param_groups[1]["lr"] = -1.0
    with pytest.raises(
        ValueError, match="^group 1: lr at step 1 must be finite and .*, got -1.0. Noth"
    ):
        run(optimizer, range(1))
    assert torch.equal(a, torch.ones(2)) and torch.equal(b, torch.ones(2))


def test_a_gradient_that_is_the_parameters_memory_is_refused() -> None:
    p = torch.ones(2, requires_grad=True)
    optimizer = TorchOptimizer([("w", p)], SGD(lr=0.1))
    p.grad = p.detach()
    with pytest.raises(ValueError, match="params/w: the gradient shares memory with params/w"):
        optimizer.step()


def test_a_late_refusal_says_that_other_groups_have_moved() -> None:
    a, b = (torch.zeros(2, requires_grad=True) for _ in range(2))
    optimizer = TorchOptimizer([{"params": a}, {"params": b}], SGD(lr=0.5))
    a.grad, b.grad = torch.ones(2), b.detach()
    with pytest.raises(ValueError, match="shares memory") as error:
        optimizer.step()
    assert error.value.__notes__ == ["Parameters of the groups before it have taken this step."]
    assert a.tolist() == [-0.5, -0.5] and b.tolist() == [0, 0] and b not in optimizer.state
    a.grad, b.grad = b.detach(), torch.ones(2)
    with pytest.raises(ValueError) as error:
        TorchOptimizer([a, b], SGD(lr=0.5)).step()
    assert not hasattr(error.value, "__notes__")


@pytest.mark.parametrize("names", [("w", "w"), ("w", "b")])
def test_two_parameters_of_one_name_are_both_stepped(names: tuple[str, str]) -> None:
    a, b = (torch.zeros(1, requires_grad=True) for _ in range(2))
    optimizer = TorchOptimizer([(names[0], a), (names[1], b)], SGD(lr=0.5))
    for p in (a, b):
        p.grad = torch.ones(1)
    optimizer.step()
    assert a.item() == b.item() == -0.5


def without(module: str, code: str) -> str:
    """What a fresh interpreter prints in which a module cannot be found."""
    code = f"import sys; sys.modules[{module!r}] = None\n{code}"
    run = [sys.executable, "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout


TRY = "try:\n    {}\nexcept ImportError as error:\n    print(error)"


def test_without_torch_the_import_says_what_to_install() -> None:
    code = TRY.format("import adam_tutorial.torch_adapter")
    sentence = 'adam_tutorial.torch_adapter needs PyTorch: pip install "adam-tutorial[torch]"\n'
    assert without("torch", code) == sentence
    assert without("torch", "import adam_tutorial as a; print(a.Adam().lr)") == "0.001\n"


def test_without_ml_dtypes_bfloat16_says_what_to_install() -> None:
    code = "import torch; from adam_tutorial.torch_adapter import array_view as view\n"
    code += TRY.format("view(torch.ones(2, dtype=torch.bfloat16), 'w')")
    sentence = "w: a bfloat16 tensor needs ml_dtypes: pip install ml-dtypes. Nothing was changed.\n"
    assert without("ml_dtypes", code) == sentence


def test_the_module_is_reachable_and_not_advertised() -> None:
    assert adam_tutorial.TorchOptimizer is TorchOptimizer
    assert {"TorchOptimizer", "array_view"}.isdisjoint(adam_tutorial.__all__)


# ---- On a GPU


gpu = pytest.mark.skipif(not HAS_GPU, reason="needs PyTorch, CuPy and an NVIDIA GPU")


@gpu
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
@each_method
def test_on_the_gpu_the_bits_are_those_of_the_cpu(case: Case, dtype: Any) -> None:
    here, there = tensors(dtype), tensors(dtype, "cuda")
    optimizers = [TorchOptimizer(params.items(), case.make()) for params in (here, there)]
    addresses = [p.data_ptr() for p in there.values()]
    for optimizer in optimizers:
        run(optimizer, range(4))
    assert addresses == [p.data_ptr() for p in there.values()]
    if not case.ulps:
        assert everything(optimizers[0]) == everything(optimizers[1])
    assert all(
        kept[slot].is_cuda for kept in optimizers[1].state.values() for slot in case.make().slots
    )


@gpu
@each_method
def test_a_step_waits_for_the_stream_that_makes_the_gradient(case: Case) -> None:
    """A long computation on a side stream makes g; the step must come after it, on that stream."""
    p, q = (torch.ones(1000, device="cuda", requires_grad=True) for _ in range(2))
    a = torch.full((4000, 4000), 1e-4, device="cuda")
    optimizers = [TorchOptimizer([x], case.make()) for x in (p, q)]
    with torch.cuda.stream(torch.cuda.Stream()):
        product = a
        for _ in range(20):
            product = product @ a * 2.5
        p.grad = product[0, :1000].contiguous()
        optimizers[0].step()
        later = p.detach() * 1
    torch.cuda.synchronize()
    q.grad = p.grad.clone()
    optimizers[1].step()
    torch.cuda.synchronize()
    assert bits(p) == bits(q) == bits(later)


@gpu
@each_method
def test_on_the_gpu_resumed_is_never_stopped(case: Case) -> None:
    optimizer = TorchOptimizer(tensors(torch.float16, "cuda").values(), case.make())
    run(optimizer, range(3))
    other = loaded(optimizer, case.make())
    for each in (optimizer, other):
        run(each, range(3, 6))
    assert everything(other) == everything(optimizer)


@gpu
def test_a_model_may_move_to_the_gpu_before_its_first_step() -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = TorchOptimizer(layer.named_parameters(), Adam())
    layer.to("cuda")
    layer(torch.ones(1, 3, device="cuda")).sum().backward()
    optimizer.step()
    assert all(kept["m"].is_cuda for kept in optimizer.state.values())


@gpu
def test_on_the_gpu_a_stale_graph_raises() -> None:
    p = torch.ones(2, device="cuda", requires_grad=True)
    optimizer = TorchOptimizer([p], Adam())
    loss = (p * p).sum()
    p.grad = torch.ones_like(p)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@gpu
def test_parameters_on_two_devices_are_stepped() -> None:
    here, there = (
        torch.ones(2, requires_grad=True),
        torch.ones(2, device="cuda", requires_grad=True),
    )
    optimizer = TorchOptimizer([here, there], SGD(lr=0.5))
    for p in (here, there):
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert here.tolist() == there.tolist() == [0.5, 0.5]


@pytest.mark.skipif(HAS_GPU, reason="needs a machine without a GPU")
def test_without_cupy_a_gpu_tensor_says_what_to_install() -> None:
    from adam_tutorial import torch_adapter

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", None)
        with pytest.raises(
            ImportError, match=r'^w: a tensor on a GPU needs cupy: pip install "adam'
        ):
            torch_adapter._cupy("w")


def test_a_checkpoint_of_another_method_is_refused() -> None:
    def trained(method: Any) -> Any:
        layer = torch.nn.Linear(3, 2)
        optimizer = TorchOptimizer(layer.named_parameters(), method)
        layer(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        return optimizer

    sgd = trained(SGD(lr=0.5))
    with pytest.raises(ValueError, match="group 0: SGD has no hyper-parameter 'beta1'"):
        sgd.load_state_dict(trained(Adam()).state_dict())
    assert sgd.param_groups[0]["lr"] == 0.5
    with pytest.raises(ValueError, match="without param_groups and state came"):
        sgd.load_state_dict({})
