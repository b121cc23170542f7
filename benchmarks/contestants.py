"""The contestants: this package's `Adam.step` in its readings, and what one would use instead.

Each is made from a list of gradients, starts at zero, and holds float32 arrays of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from common import BETA1, BETA2, EPS, LR, SAMPLE, Array, Contestant

from adam_tutorial import Adam, backends, executors, pack
from adam_tutorial.trees import Tree

Place = Callable[[Array], Array]  # puts an array where the steps are made


def named(name: str, threads: int | None) -> str:
    return name if threads is None else f"{name}, {threads} thread{'s' * (threads > 1)}"


def first(arrays: list[Array]) -> Array:
    """The first numbers of these arrays, flat, on the host."""
    found, room = [], SAMPLE
    for array in arrays:
        found.append(backends.to(array.reshape(-1)[:room], "numpy"))
        room -= found[-1].size
        if not room:
            break
    return np.concatenate(found)


# ---- Ours


def ours(
    gradients: list[Array], name: str, threads: int | None = None, *, packed: bool = False
) -> Contestant:
    """`Adam.step` with all its checks, on one array or on a list of them."""
    thetas, gs = [np.zeros_like(g) for g in gradients], [np.zeros_like(g) for g in gradients]
    if packed:
        thetas, gs = pack(thetas), pack(gs)
    adam, params, grads, state = warmed(thetas, gs)
    step = partial(adam.step, params, grads, state)
    return Contestant(named(name, threads), step, lambda: first(thetas), gs, threads)


def warmed(thetas: list[Array], gs: list[Array]) -> tuple[Adam, Tree, Tree, Any]:
    """An optimizer, parameters, gradients and a state, as they are after many steps.

    A small leaf is compiled after its thousandth step; here that is the first. It is made with
    gradients of zero, which move nothing, and is then taken back.
    """
    adam = Adam(lr=LR, beta1=BETA1, beta2=BETA2, eps=EPS)
    params, grads = (thetas[0], gs[0]) if len(thetas) == 1 else (thetas, gs)
    state = adam.init(params)
    with patch.object(executors, "COMPILE_AFTER", 1):
        adam.step(params, grads, state)
    state.t = 0
    return adam, params, grads, state


def replayed(gradients: list[Array], name: str) -> Contestant:
    """As on a machine without Numba. Its loop is chosen once, so the step is what it is there."""
    with patch.object(executors, "numba_missing", lambda: "left out on purpose"):
        return ours(gradients, name)


# ---- Others


def copy_of_as_many_bytes(gradients: list[Array], threads: int) -> Contestant:
    """A plain copy that reads 14 bytes for each parameter and writes 14: as many as a step moves."""
    size = 7 * gradients[0].size // 2
    source, target = np.ones(size, np.float32), np.zeros(size, np.float32)

    def copy(start: int, stop: int) -> None:
        np.copyto(target[start:stop], source[start:stop])

    name = named("a copy of 28 bytes", threads)
    return Contestant(name, lambda: executors.in_parts(size, copy), None, [], threads)


def textbook(gradients: list[Array]) -> Contestant:
    """Algorithm 1 as people write it in NumPy: whole arrays, a new one for every operation."""
    theta, g = np.zeros_like(gradients[0]), np.zeros_like(gradients[0])
    m, v, t = np.zeros_like(theta), np.zeros_like(theta), 0

    def step() -> None:
        nonlocal m, v, t
        t += 1
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g**2
        m_hat = m / (1 - BETA1**t)
        v_hat = v / (1 - BETA2**t)
        theta[:] = theta - LR * m_hat / (np.sqrt(v_hat) + EPS)

    return Contestant("textbook", step, lambda: first([theta]), [g])


def torch_adam(
    gradients: list[Array], kind: str, threads: int | None, device: str = "cpu"
) -> Contestant:
    """torch.optim.Adam: as it comes ("default"), or with fused=True or foreach=True."""
    import torch

    gs = [torch.from_numpy(g.copy()).to(device) for g in gradients]
    thetas = [torch.nn.Parameter(torch.zeros_like(g)) for g in gs]
    for theta, g in zip(thetas, gs, strict=True):
        theta.grad = g
    asked: dict[str, Any] = {} if kind == "default" else {kind: True}
    adam = torch.optim.Adam(thetas, lr=LR, betas=(BETA1, BETA2), eps=EPS, **asked)
    own = [g.numpy() for g in gs] if device == "cpu" else []
    return Contestant(
        named(f"torch {kind}", threads),
        adam.step,
        lambda: first([theta.detach().reshape(-1)[:SAMPLE].cpu().numpy() for theta in thetas]),
        own,
        threads,
    )


def thinc_adam(gradients: list[Array]) -> Contestant:
    from thinc.api import Adam as ThincAdam

    theta, g = np.zeros_like(gradients[0]), np.zeros_like(gradients[0])
    adam = ThincAdam(
        LR, beta1=BETA1, beta2=BETA2, eps=EPS, L2=0.0, grad_clip=0.0, use_averages=False
    )
    return Contestant("Thinc", lambda: adam((0, "theta"), theta, g), lambda: first([theta]), [g])


def optax_adam(gradients: list[Array], *, wait: bool = True) -> Contestant:
    """Optax under jit. It returns new arrays; the old ones are donated, so memory is used again.

    With `wait` each call waits for its result; without, `finish` does.
    """
    import jax
    import optax

    method = optax.adam(LR, b1=BETA1, b2=BETA2, eps=EPS)
    gs = [jax.numpy.asarray(g) for g in gradients]
    held = {"thetas": [jax.numpy.zeros_like(g) for g in gs]}
    held["state"] = method.init(held["thetas"])

    def update(thetas: Any, gs: Any, state: Any) -> Any:
        updates, state = method.update(gs, state, thetas)
        return optax.apply_updates(thetas, updates), state

    compiled = jax.jit(update, donate_argnums=(0, 2))

    def step() -> None:
        held["thetas"], held["state"] = compiled(held["thetas"], gs, held["state"])
        if wait:
            jax.block_until_ready(held)

    return Contestant(
        "Optax jit",
        step,
        lambda: first([np.asarray(theta) for theta in held["thetas"]]),
        finish=lambda: jax.block_until_ready(held),
    )
