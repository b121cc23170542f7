"""From the settings of a run to the optimizer that takes its steps: the book's, or torch's own."""

from collections.abc import Callable
from typing import Any

import torch
from settings import Run, decay_at, multiplier
from torch import nn

import adam_tutorial
from adam_tutorial import L2, SGD, Adagrad, Adam, Momentum, Optimizer, RMSProp
from adam_tutorial.torch_adapter import TorchOptimizer

AXES = {2: 1, 4: (1, 2, 3)}  # of torch's layers: one vector for each output, or output channel
SPARED = "without decay"  # the name of such a group of parameters


def method(run: Run) -> Optimizer:
    """The book's method of this run, its rate and decay as functions of the update t = 1, 2, ..."""
    eta = multiplier(run)

    def lr(t: int) -> float:
        return run.lr * eta(t)

    def decay(t: int) -> float:
        return decay_at(run, t)

    newer: Any = adam_tutorial  # looked up when a run asks for them
    made: dict[str, Callable[[], Optimizer]] = {
        "SGD": lambda: L2(SGD(lr), decay),
        "Momentum": lambda: L2(Momentum(lr, 0.9), decay),
        "Adagrad": lambda: L2(Adagrad(lr), decay),
        "RMSProp": lambda: L2(RMSProp(lr, 0.99), decay),
        "Adam": lambda: L2(Adam(lr), decay),
        "AdamW": lambda: newer.PaperAdamW(run.lr, weight_decay=decay, eta=eta),
        "SGDW": lambda: newer.SGDW(run.lr, 0.9, weight_decay=decay, eta=eta),
        "SWATS": lambda: L2(newer.SWATS(lr), decay),
        "NDAdam": lambda: newer.NDAdam(AXES, lr, ratio=50.0),
    }
    return made[run.method]()


def groups(run: Run, net: nn.Module) -> list[dict[str, Any]]:
    """All parameters as one group, or as two where the decay spares some."""
    named = list(net.named_parameters())
    if not run.only_weights or not run.decay:
        return [{"params": named}]
    weights = [(name, p) for name, p in named if p.dim() > 1]
    others = [(name, p) for name, p in named if p.dim() <= 1]
    return [{"params": weights}, {"params": others, "weight_decay": 0.0, "name": SPARED}]


TORCH: dict[str, Callable[[Any, float], torch.optim.Optimizer]] = {
    "SGD": lambda params, lr: torch.optim.SGD(params, lr),
    "Momentum": lambda params, lr: torch.optim.SGD(params, lr, momentum=0.9),
    "Adagrad": lambda params, lr: torch.optim.Adagrad(params, lr),
    "RMSProp": lambda params, lr: torch.optim.RMSprop(params, lr, alpha=0.99),
    "Adam": lambda params, lr: torch.optim.Adam(params, lr),
    "AdamW": lambda params, lr: torch.optim.AdamW(params, lr),
}  # torch's Momentum applies the rate outside the average


def normalise(net: nn.Module) -> None:
    """Length 1 for the weights of each output, as ND-Adam keeps them."""
    with torch.no_grad():
        for p in net.parameters():
            if p.dim() in AXES:
                p.div_(torch.linalg.vector_norm(p, dim=AXES[p.dim()], keepdim=True))


def optimizer(run: Run, net: nn.Module) -> torch.optim.Optimizer:
    if run.library == "torch":
        return TORCH[run.method](groups(run, net), run.lr)
    if run.method == "NDAdam":
        normalise(net)
    return TorchOptimizer(groups(run, net), method(run))


def before_step(run: Run, optimizer: torch.optim.Optimizer, t: int) -> None:
    """Torch's own are told the rate and the decay of update t; the book's know them.

    Torch's AdamW multiplies its decay by the learning rate alpha eta_t, Loshchilov & Hutter by eta_t.
    """
    if run.library != "torch":
        return
    decay = decay_at(run, t) / (run.lr if run.method == "AdamW" else 1.0)
    for group in optimizer.param_groups:
        group["lr"] = run.lr * multiplier(run)(t)
        group["weight_decay"] = 0.0 if group.get("name") == SPARED else decay
