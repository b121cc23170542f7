"""From the settings of a run to the optimizer that takes its steps: the book's, or torch's own."""

from typing import Any

import torch
from settings import Run, decay_at, multiplier
from torch import nn

import adam_tutorial
from adam_tutorial import L2, SGD, Adagrad, Adam, Momentum, Optimizer, RMSProp
from adam_tutorial.torch_adapter import TorchOptimizer

AXES = {2: 1, 4: (1, 2, 3)}  # of torch's layers: one vector for each output, or output channel
SPARED = "without decay"  # the name of such a group of parameters


def decoupled(run: Run, t: int) -> float:
    """What a library's W methods call weight decay: they multiply it by the learning rate.

    Loshchilov & Hutter's lambda is multiplied by eta_t alone, and the rate is alpha eta_t.
    """
    return decay_at(run, t) / run.lr


def method(run: Run) -> Optimizer:
    """The book's method of this run, its rate and decay as functions of the update t = 1, 2, ..."""
    eta = multiplier(run)

    def lr(t: int) -> float:
        return run.lr * eta(t)

    def decay(t: int) -> float:
        return decay_at(run, t)

    newer: Any = adam_tutorial  # looked up when a run asks for them
    match run.method:
        case "AdamW":
            return newer.AdamW(lr=lr, weight_decay=lambda t: decoupled(run, t))  # type: ignore[no-any-return]
        case "SGDW":
            return newer.SGDW(lr=lr, weight_decay=lambda t: decoupled(run, t))  # type: ignore[no-any-return]
        case "NDAdam":
            return newer.NDAdam(AXES, lr=lr, ratio=50.0)  # type: ignore[no-any-return]
        case "SWATS":
            return L2(newer.SWATS(lr=lr), decay)
    plain: dict[str, Optimizer] = {
        "SGD": SGD(lr),
        "Momentum": Momentum(lr, 0.9),
        "Adagrad": Adagrad(lr),
        "RMSProp": RMSProp(lr, 0.99),
        "Adam": Adam(lr),
    }
    return L2(plain[run.method], decay)


def groups(run: Run, net: nn.Module) -> list[dict[str, Any]]:
    """All parameters as one group, or as two where the decay spares some."""
    named = list(net.named_parameters())
    if not run.only_weights or not run.decay:
        return [{"params": named}]
    weights = [(name, p) for name, p in named if p.dim() > 1]
    others = [(name, p) for name, p in named if p.dim() <= 1]
    return [{"params": weights}, {"params": others, "weight_decay": 0.0, "name": SPARED}]


def torch_own(run: Run, net: nn.Module) -> torch.optim.Optimizer:
    """Torch's optimizer of the same name; its Momentum applies the rate outside the average."""
    made: dict[str, Any] = {
        "SGD": lambda params: torch.optim.SGD(params, run.lr),
        "Momentum": lambda params: torch.optim.SGD(params, run.lr, momentum=0.9),
        "Adagrad": lambda params: torch.optim.Adagrad(params, run.lr),
        "RMSProp": lambda params: torch.optim.RMSprop(params, run.lr, alpha=0.99),
        "Adam": lambda params: torch.optim.Adam(params, run.lr),
        "AdamW": lambda params: torch.optim.AdamW(params, run.lr),
    }
    if run.method not in made:
        raise ValueError(f"torch has no {run.method}; it has {', '.join(made)}.")
    return made[run.method](groups(run, net))  # type: ignore[no-any-return]


def normalise(net: nn.Module) -> None:
    """Length 1 for the weights of each output, as ND-Adam keeps them."""
    with torch.no_grad():
        for p in net.parameters():
            if p.dim() in AXES:
                p /= torch.linalg.vector_norm(p, dim=AXES[p.dim()], keepdim=True)


def optimizer(run: Run, net: nn.Module) -> torch.optim.Optimizer:
    if run.library == "torch":
        return torch_own(run, net)
    if run.method == "NDAdam":
        normalise(net)
    return TorchOptimizer(groups(run, net), method(run))


def before_step(run: Run, optimizer: torch.optim.Optimizer, t: int) -> None:
    """Torch's own are told the rate and the decay of update t; the book's know them."""
    if run.library != "torch":
        return
    decay = decoupled(run, t) if run.method.endswith("W") else decay_at(run, t)
    for group in optimizer.param_groups:
        group["lr"] = run.lr * multiplier(run)(t)
        group["weight_decay"] = 0.0 if group.get("name") == SPARED else decay
