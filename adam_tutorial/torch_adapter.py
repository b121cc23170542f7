"""The book's optimizers on torch's models: one memory, seen by two libraries.

A torch tensor and a NumPy or CuPy array can look at the same memory. So nothing is copied, and no
rule is written a second time: `TorchOptimizer` keeps what torch expects of an optimizer (groups,
`state_dict`, closures, hooks), and every step is the package's own `step` on such views.
"""

# Generated from chapters/torch_adapter.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import contextlib
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from adam_tutorial.optimizer import Optimizer, Schedule, State
from adam_tutorial.sgd import SGD
from adam_tutorial.trees import Array
from adam_tutorial.wrappers import settings_of, with_settings

# %% chapters/torch_adapter.ipynb#torch-adapter-imports
try:
    import torch
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        'adam_tutorial.torch_adapter needs PyTorch: pip install "adam-tutorial[torch]"'
    ) from None


# %% chapters/torch_adapter.ipynb#array-view
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def array_view(tensor: torch.Tensor, name: str = "tensor") -> Array:
    """The NumPy (CPU) or CuPy (CUDA) array that looks at the tensor's memory; nothing is copied.

    Raises TypeError, with `name` in its sentence, for a tensor whose memory no array can show:
    sparse, not floating, or on another device. ImportError where CuPy or ml_dtypes is missing.
    """
    _check_viewable(tensor, name)
    half = tensor.dtype == torch.bfloat16  # NumPy has no name for it: it travels as 16-bit integers
    try:
        bits = tensor.detach().view(torch.int16) if half else tensor.detach()
        array = bits.numpy() if bits.device.type == "cpu" else _cupy(name).from_dlpack(bits)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TypeError(
            f"{name}: expected a tensor whose memory an array can show, got a "
            f"{type(tensor).__name__} without ({str(error).partition('.')[0]}). Make it a plain "
            "tensor. Nothing was changed."
        ) from error
    return array.view(_bfloat16(name)) if half else array


# %% chapters/torch_adapter.ipynb#array-view-checks
def _check_viewable(tensor: Any, name: str) -> None:
    """Refuse, in a sentence, a tensor that would have to be copied to become an array."""
    if not isinstance(tensor, torch.Tensor):
        came, cure = type(tensor).__name__, "Pass a torch.Tensor"
    elif tensor.layout != torch.strided:
        came, cure = f"layout {tensor.layout}", "Make it dense with to_dense()"
    elif tensor.device.type not in ("cpu", "cuda"):
        came, cure = f"device {tensor.device}", "Move it with to()"
    elif tensor.dtype not in _FLOATS:
        came, cure = f"dtype {tensor.dtype}", "Convert it to a floating dtype"
    else:
        return
    raise TypeError(
        f"{name}: expected a dense, real floating-point tensor on the CPU or a CUDA device, got "
        f"{came}. {cure}. Nothing was changed."
    )


def _needed(module: str, name: str, what: str, install: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as missing:
        raise ImportError(
            f"{name}: {what} needs {module}: pip install {install}. Nothing was changed."
        ) from missing


def _cupy(name: str) -> Any:
    return _needed("cupy", name, "a tensor on a GPU", '"adam-tutorial[cuda12]" or "[cuda13]"')


def _bfloat16(name: str) -> Any:
    return _needed("ml_dtypes", name, "a bfloat16 tensor", "ml-dtypes").bfloat16


# %% chapters/torch_adapter.ipynb#live-numbers
def _scheduled(method: Optimizer) -> set[str]:
    """The hyper-parameters that may be functions of the step, such as lr."""
    inside = [getattr(method, f.name) for f in fields(method)]
    found = [_scheduled(value) for value in inside if isinstance(value, Optimizer)]
    return {f.name for f in fields(method) if f.type in (Schedule, "Schedule")}.union(*found)


@dataclass(eq=False)
class _Live:
    """A schedule that says what stands in the group now: a number, or the book's own schedule."""

    group: dict[str, Any]
    name: str

    def __call__(self, t: int) -> Any:
        value = self.group[self.name]
        return value(t) if callable(value) else value


# %% chapters/torch_adapter.ipynb#tensor-view
def _tensor_view(array: Array) -> torch.Tensor:
    """The way back: the tensor that looks at an array's memory."""
    there = hasattr(array, "__cuda_array_interface__")
    return torch.utils.dlpack.from_dlpack(array) if there else torch.from_numpy(array)


def _axes(tensor: torch.Tensor, name: str, elementwise: bool) -> list[int] | None:
    """The order of the axes in which the elements lie side by side; None for the usual order.

    A rule for each element alone does not mind the order. Any other needs the usual one.
    """
    if tensor.is_contiguous():
        return None
    axes = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    if elementwise and tensor.permute(axes).is_contiguous():
        return axes
    raise ValueError(
        f"{name}: expected a tensor without gaps, contiguous{' or channels last' * elementwise}, "
        f"got shape {tuple(tensor.shape)} with strides {tensor.stride()}. Before the optimizer is "
        "made, set p.data = p.data.contiguous(). Nothing was changed."
    )


def _turned(tensor: torch.Tensor, axes: list[int] | None) -> torch.Tensor:
    return tensor if axes is None else tensor.permute(axes)


def _turned_back(tensor: torch.Tensor, axes: list[int] | None) -> torch.Tensor:
    return (
        tensor if axes is None else tensor.permute([axes.index(axis) for axis in range(len(axes))])
    )


# %% chapters/torch_adapter.ipynb#torch-run-class
@dataclass
class _Run:
    """Parameters that have taken the same steps: one call of the package's `step`.

    It lives from one step to the next, as long as its tensors look at the same memory.
    """

    names: list[str]
    params: list[torch.Tensor]
    axes: list[list[int] | None]
    arrays: dict[str, Array]
    slots: list[dict[str, torch.Tensor]]  # for each parameter
    state: State
    looks: list[Any]
    history: Any

    def fits(self, kept: list[dict[str, Any]]) -> bool:
        """Whether parameters and slots are still the tensors, and the memory, that we look at."""
        for slots, now in zip(self.slots, kept, strict=True):
            if any(now.get(name) is not tensor for name, tensor in slots.items()):
                return False
        return self.looks == _looks(self.params, self.slots)

    def gradients(self) -> dict[str, Array]:
        """Views of the gradients, which torch makes anew at every step."""
        columns = zip(self.names, self.params, self.axes, strict=True)
        return {
            name: array_view(_turned(p.grad, axes), f"the gradient of params/{name}")
            for name, p, axes in columns
            if p.grad is not None
        }

    def keep(self, state: dict[torch.Tensor, Any]) -> None:
        """After a step: what `state_dict` must find, and autograd must know."""
        t, scalars = self.state.t, self.state.scalars
        for p, slots in zip(self.params, self.slots, strict=True):
            state[p].update(step=t, **slots, **scalars)
        self.history = t, tuple(sorted(scalars.items()))
        torch.autograd.graph.increment_version(self.params)


# %% chapters/torch_adapter.ipynb#torch-history
def _history(kept: dict[str, Any] | None) -> tuple[int, tuple[tuple[str, float], ...] | None]:
    """Steps taken, and scalars: parameters that differ here cannot share a step. (0, None): new."""
    if not kept:
        return 0, None
    scalars = _scalars(kept)
    return kept["step"], tuple(sorted(scalars.items())) if scalars else ()


def _scalars(kept: dict[str, Any]) -> dict[str, float]:
    """The host's running numbers among what is kept for a parameter."""
    return {k: v for k, v in kept.items() if k != "step" and not isinstance(v, torch.Tensor)}


def _parts(params: list[torch.Tensor], state: Any) -> dict[tuple[Any, Any], list[int]]:
    """The places of the parameters that have a gradient, by device and history."""
    parts = defaultdict(list)
    for j, p in enumerate(params):
        if p.grad is not None:
            parts[p.device, _history(state.get(p))].append(j)
    return parts


def _looks(params: list[torch.Tensor], slots: list[dict[str, torch.Tensor]]) -> list[Any]:
    """What changes when a tensor is given other memory, or another shape, by `p.data = ...`."""
    return [
        *((p.data_ptr(), p.dtype, p.device, p.shape, p.stride()) for p in params),
        *(tensor.data_ptr() for row in slots for tensor in row.values()),
    ]


# %% chapters/torch_adapter.ipynb#torch-run-make
def _new_run(
    method: Optimizer, names: list[str], params: list[torch.Tensor], kept: list[dict[str, Any]]
) -> _Run:
    """Views of these parameters, and of what is kept for them, or their first slots."""
    wheres = [f"params/{name}" for name in names]
    axes = [_axes(p, where, method.elementwise) for p, where in zip(params, wheres, strict=True)]
    turned = [_turned(p, order) for p, order in zip(params, axes, strict=True)]
    arrays = dict(zip(names, map(array_view, turned, wheres), strict=True))
    if not kept[0]:
        state = method.init(arrays)
        slots = [
            {
                slot: _turned_back(_tensor_view(state.slots[slot][name]), order)
                for slot in method.slots
            }
            for name, order in zip(names, axes, strict=True)
        ]
    else:
        slots = [{slot: now[slot] for slot in method.slots} for now in kept]
        trees = {
            slot: {
                name: array_view(_turned(row[slot], order), f"state.{slot} of params/{name}")
                for name, order, row in zip(names, axes, slots, strict=True)
            }
            for slot in method.slots
        }
        state = State(kept[0]["step"], trees, _scalars(kept[0]))
    return _Run(names, params, axes, arrays, slots, state, _looks(params, slots), _history(kept[0]))


# %% chapters/torch_adapter.ipynb#torch-stream
@contextlib.contextmanager
def _in_line(device: torch.device) -> Iterator[None]:
    """On a GPU: CuPy works on the stream that torch uses now, so each sees what the other wrote."""
    if device.type != "cuda":
        yield
        return
    cuda = _cupy(str(device)).cuda
    with (
        cuda.Device(device.index),
        cuda.ExternalStream(torch.cuda.current_stream(device).cuda_stream),
    ):
        yield


# %% chapters/torch_adapter.ipynb#torch-group-checks
def _names(i: int, group: dict[str, Any]) -> list[str]:
    """What to call the parameters of group i: as in the model, where torch was told."""
    count, known = len(group["params"]), group.get("param_names", ())
    if len(set(known)) == count:
        return list(known)
    return [f"group {i}, parameter {j}" for j in range(count)]


def _check_method(method: Any) -> None:
    if not isinstance(method, Optimizer):
        raise TypeError(
            "method: expected an optimizer of adam_tutorial, such as Adam(lr=1e-3), got "
            f"{type(method).__name__}."
        )
    if "groups" in settings_of(method):
        raise TypeError(
            "method: torch has parameter groups of its own. Pass the method inside Groups, and "
            'params=[{"params": [...], "lr": 1e-4}, ...]. Nothing was changed.'
        )


# %% chapters/torch_adapter.ipynb#torch-key-checks
def _check_keys(i: int, group: Any, method: Optimizer) -> None:
    """A misspelt hyper-parameter would be ignored in silence; torch's own keys are let through."""
    settings = settings_of(method)
    usual = {"params", "param_names", "name", "initial_lr", *settings}
    strange = [key for key in group if key not in usual] if isinstance(group, dict) else []
    if strange:
        raise ValueError(
            f"group {i}: {type(method).__name__} has no hyper-parameter {strange[0]!r}; it has "
            f"{', '.join(settings) or 'none'}. Nothing was changed."
        )


def _check_views(groups: list[dict[str, Any]], method: Optimizer) -> None:
    """Every parameter can be viewed as an array, and no two of them share memory."""
    trees: list[dict[str, Array]] = [{} for _ in groups]
    for i, group in enumerate(groups):
        for name, p in zip(_names(i, group), group["params"], strict=True):
            where = f"params/{name}"
            array_view(p, where)  # refuses first what has no strides
            axes = _axes(p, where, method.elementwise)
            trees[i][name] = array_view(_turned(p, axes), where)
    SGD(lr=0.0).init(trees[0] if len(trees) == 1 else trees)  # it has no slots, so this only checks


# %% chapters/torch_adapter.ipynb#torch-groups
class _Grouped(torch.optim.Optimizer):
    """Parameters in groups; each group holds the hyper-parameters, where torch looks for them."""

    def __init__(self, params: Any, method: Optimizer) -> None:
        _check_method(method)
        self.method, self._settings = method, tuple(settings_of(method))
        self._scheduled = _scheduled(method)
        self._methods: dict[int, tuple[int, dict[str, Any], Optimizer]] = {}
        self._runs: dict[tuple[int, ...], _Run] = {}
        super().__init__(params, settings_of(method))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """A group may override hyper-parameters by their names; a refused group is not added."""
        i = len(self.param_groups)
        _check_keys(i, param_group, self.method)
        super().add_param_group(param_group)
        try:
            self._method_of(i)
            _check_views(self.param_groups, self.method)
        except Exception:
            self.param_groups.pop()
            raise

    def _method_of(self, i: int, t: int = 1) -> Optimizer:
        """The method with the numbers of group i, which are refused if step t cannot use them."""
        group = self.param_groups[i]
        now = {name: group[name] for name in self._settings if name not in self._scheduled}
        try:
            if i not in self._methods or self._methods[i][:2] != (id(group), now):
                live = {name: _Live(group, name) for name in self._scheduled}
                self._methods[i] = id(group), now, with_settings(self.method, {**now, **live})
            self._methods[i][2].hyper(t)
        except (TypeError, ValueError) as error:
            raise type(error)(f"group {i}: {error}. Nothing was changed.") from None
        return self._methods[i][2]


# %% chapters/torch_adapter.ipynb#torch-checkpoint-checks
@dataclass(frozen=True)
class _Sealed:
    """A slot on its way through torch's `load_state_dict`, which casts every tensor that it sees."""

    tensor: torch.Tensor

    def opened(self, p: torch.Tensor, elementwise: bool) -> torch.Tensor:
        """A copy beside its parameter, laid out alike, in the dtype that rules compute in."""
        if not elementwise:
            return self.tensor.to(p.device, copy=True)
        half = p.dtype in (torch.float16, torch.bfloat16)
        empty = torch.empty_like(p, dtype=torch.float32 if half else p.dtype, requires_grad=False)
        return empty.copy_(self.tensor)


def _sealed(method: Optimizer, kept: dict[str, Any], p: torch.Tensor, where: str) -> dict[str, Any]:
    """What a checkpoint keeps for one parameter, its slots sealed; refused if they do not fit."""
    slots: dict[str, Any] = {slot: kept.get(slot) for slot in method.slots}
    if "step" not in kept or not all(isinstance(slot, torch.Tensor) for slot in slots.values()):
        raise ValueError(
            f"{where}: expected a checkpoint with {', '.join(['step', *slots])}; got "
            f"{', '.join(map(str, kept))}. Load it into the optimizer that made it. Nothing was "
            "changed."
        )
    for name, slot in slots.items():
        if method.elementwise and slot.shape != p.shape:
            raise ValueError(
                f"state.{name} of {where}: expected shape {tuple(p.shape)}, the checkpoint has "
                f"{tuple(slot.shape)}. Load it into the model that it was made with. Nothing was "
                "changed."
            )
    return {**kept, "step": int(kept["step"]), **{k: _Sealed(v) for k, v in slots.items()}}


# %% chapters/torch_adapter.ipynb#torch-checkpoint-prepared
def _prepared(optimizer: Any, given: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint as torch may load it: slots sealed, and schedules filled in from the optimizer."""
    if missing := {"state", "param_groups"} - given.keys():
        raise ValueError(
            f"expected what state_dict returned, without {' and '.join(sorted(missing))} came "
            f"{sorted(map(str, given))}. Nothing was changed."
        )
    groups, state = [], dict(given["state"])
    for i, (old, new) in enumerate(
        zip(optimizer.param_groups, given["param_groups"], strict=False)
    ):
        groups.append({**{name: old[name] for name in optimizer._settings}, **new})
        for key, p, name in zip(new["params"], old["params"], _names(i, old), strict=False):
            if kept := state.get(key):
                state[key] = _sealed(optimizer.method, kept, p, f"params/{name}")
        _check_keys(i, new, optimizer.method)
    groups += given["param_groups"][len(groups) :]  # too many: torch says so
    return {**given, "state": state, "param_groups": groups}


# %% chapters/torch_adapter.ipynb#torch-checkpoints
class _Saved(_Grouped):
    """Checkpoints, copies and pickles: what comes back is what was there, in its own dtype."""

    def state_dict(self) -> dict[str, Any]:
        """As torch's. Schedules and domains are no numbers: they stay with the optimizer."""
        saved = super().state_dict()
        for group in saved["param_groups"]:
            for name in self._settings:
                if callable(group[name]) or is_dataclass(group[name]):
                    del group[name]
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but a slot keeps its dtype; a checkpoint that does not fit is refused."""
        hook = self.register_load_state_dict_pre_hook(
            _prepared
        )  # the last: it sees what others did
        try:
            super().load_state_dict(state_dict)
        finally:
            hook.remove()

    def __getstate__(self) -> dict[str, Any]:
        own = ("method", "_settings", "_scheduled")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in own}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """After copy, unpickling and loading; all views are made again."""
        super().__setstate__(state)
        self._methods, self._runs = {}, {}
        for p, kept in self.state.items():
            for name, value in kept.items() if isinstance(kept, dict) else ():
                if isinstance(value, _Sealed):
                    kept[name] = value.opened(p, self.method.elementwise)


# %% chapters/torch_adapter.ipynb#torch-ready
class _Readied(_Saved):
    """All that a step needs, found and checked while nothing has changed yet."""

    def _ready(self, i: int) -> Iterator[tuple[Optimizer, _Run, dict[str, Array]]]:
        """For each part of group i that has one history: the method, the views, the gradients."""
        group = self.param_groups[i]
        for (device, history), members in _parts(group["params"], self.state).items():
            method = self._method_of(i, history[0] + 1)
            params = [group["params"][j] for j in members]
            kept = [self.state.get(p, {}) for p in params]
            run = self._runs.get(tuple(map(id, params)))
            with _in_line(device):
                if run is None or run.history != history or not run.fits(kept):
                    names = list(map(_names(i, group).__getitem__, members))
                    run = _new_run(method, names, params, kept)
                grads = run.gradients()
            yield method, run, grads


# %% chapters/torch_adapter.ipynb#torch-optimizer
class TorchOptimizer(_Readied):
    """A torch.optim.Optimizer that takes the steps of a method of this package, in place.

    params  what torch takes: tensors, (name, tensor) pairs, or dicts that group them; a group may
            override hyper-parameters by the method's own names: {"params": ..., "lr": 1e-4}
    method  for example Adam(lr=1e-3)

    Numbers live in `param_groups`, where torch's schedulers change them; state in `state[p]`: the
    int `step`, a tensor for each slot, a float for each scalar. A parameter without gradient is
    left out, and does not count. A method that looks across parameters sees one group.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns the loss of `closure`, if there is one."""
        loss = torch.enable_grad()(closure)() if closure else None
        ready = [found for i in range(len(self.param_groups)) for found in self._ready(i)]
        for done, (method, run, grads) in enumerate(ready):
            try:
                with _in_line(run.params[0].device):
                    method.step(run.arrays, grads, run.state)
            except Exception as error:
                if done:
                    error.add_note("Parameters of the groups before it have taken this step.")
                raise
            run.keep(self.state)
        self._runs = {tuple(map(id, run.params)): run for _, run, _ in ready}
        return loss
