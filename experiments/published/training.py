"""One training run, which can stop after any epoch and go on as if it never had."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from cifar import Data, Images, Normaliser, batches
from methods import before_step, optimizer
from networks import BUILDERS
from settings import Run
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

WARM, TIMED = 10, 40  # updates before the clock starts, and those that it measures
DTYPES = {"float32": None, "bfloat16": torch.bfloat16}


class Training:
    """A network on its way, and all that a checkpoint must hold."""

    def __init__(self, run: Run, data: Data, device: torch.device) -> None:
        self.run, self.device, self.dtype = run, device, DTYPES[run.precision]
        count = len(data.train) - run.held_out
        self.train, self.validation = data.train[:count].to(device), data.train[count:].to(device)
        self.test = data.test.to(device)
        self.normaliser = Normaliser.of(self.train)
        torch.manual_seed(run.seed)
        build = BUILDERS[run.network]
        self.net: nn.Module = build(run.depth, run.width, data.classes).to(device)
        self.optimizer = optimizer(run, self.net)
        self.t, self.epoch, self.seconds = 0, 0, 0.0
        self.curves: dict[str, list[float]] = {"train loss": [], "test error": []}
        if run.held_out:
            self.curves["validation error"] = []

    @property
    def done(self) -> bool:
        """At the end, or where the loss is not finite any more."""
        losses = self.curves["train loss"]
        return self.t >= self.run.steps or bool(losses and not math.isfinite(losses[-1]))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            return F.cross_entropy(self.net(images), labels)

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One update; returns the loss before it, which stays on the device."""
        self.t += 1
        before_step(self.run, self.optimizer, self.t)
        self.optimizer.zero_grad()
        loss = self.loss(images, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def one_epoch(self, bar: Any, clock: "Clock") -> None:
        start, losses = time.perf_counter(), []
        self.net.train()
        run, parts = self.run, (self.train, self.normaliser)
        for images, labels in batches(*parts, run.batch, run.seed, self.epoch):
            losses.append(self.step(images, labels))
            clock.tick(self.t)
            bar.update()
            if self.t == run.steps:
                break
        self.epoch += 1
        self.curves["train loss"].append(float(torch.stack(losses).mean()))
        self.curves["test error"].append(self.error(self.test))
        if run.held_out:
            self.curves["validation error"].append(self.error(self.validation))
        self.seconds += time.perf_counter() - start

    @torch.no_grad()
    def error(self, images: Images) -> float:
        """The share that is classified wrongly, in percent."""
        self.net.eval()
        wrong = 0
        for i in range(0, len(images), 1000):
            part = images[slice(i, i + 1000)]
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
                scores = self.net(self.normaliser(part.pixels))
            wrong += int((scores.argmax(dim=1) != part.labels).sum())
        return 100 * wrong / len(images)

    def scalars(self) -> dict[str, float]:
        """The running numbers of the method, where it has some: for SWATS, when it switched."""
        kept: dict[str, Any] = next(iter(self.optimizer.state.values()), {})
        return {k: v for k, v in kept.items() if isinstance(v, (int, float)) and k != "step"}

    # -- Checkpoints

    def save(self, path: Path) -> None:
        on_gpu = self.device.type == "cuda"
        kept = {
            "run": repr(self.run),
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random on the GPU": torch.cuda.get_rng_state() if on_gpu else None,
            "t": self.t,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "curves": self.curves,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        torch.save(kept, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        kept = torch.load(path, map_location=self.device, weights_only=True)
        if kept["run"] != repr(self.run):
            raise ValueError(f"{path}: expected the checkpoint of {self.run!r}, got {kept['run']}")
        self.net.load_state_dict(kept["net"])
        self.optimizer.load_state_dict(kept["optimizer"])
        torch.set_rng_state(kept["random"].cpu())
        if kept["random on the GPU"] is not None:
            torch.cuda.set_rng_state(kept["random on the GPU"].cpu())
        self.t, self.epoch, self.seconds = kept["t"], kept["epoch"], kept["seconds"]
        self.curves = kept["curves"]


class Clock:
    """Says once how long this run will take, and all that wait with it."""

    def __init__(self, run: Run, device: torch.device, runs: int) -> None:
        self.run, self.device, self.runs = run, device, runs
        self.first, self.start = 0, 0.0

    def tick(self, t: int) -> None:
        self.first = self.first or t
        if t - self.first == WARM:
            self.wait()
            self.start = time.perf_counter()
        elif t - self.first == WARM + TIMED:
            self.wait()
            self.report((time.perf_counter() - self.start) / TIMED, t)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def report(self, seconds: float, t: int) -> None:
        rest = seconds * (self.run.steps - t)
        more = seconds * self.run.steps * (self.runs - 1)
        others = f", and {hours(more)} for the {self.runs - 1} runs after it" if more else ""
        tqdm.write(f"{1000 * seconds:.0f} ms an update: about {hours(rest)} for this run{others}")


def hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def carried_out(
    training: Training, checkpoint: Path | None = None, runs: int = 1
) -> dict[str, Any]:
    """The results of a run, from its checkpoint on where there is one.

    runs  how many are still to do, this one included: for the estimate of the time
    """
    run = training.run
    if checkpoint and checkpoint.exists():
        training.load(checkpoint)
    clock = Clock(run, training.device, runs)
    with tqdm(total=run.steps, initial=training.t, desc=f"{run}, seed {run.seed}") as bar:
        while not training.done:
            training.one_epoch(bar, clock)
            if checkpoint:
                training.save(checkpoint)
    return {
        "test error": training.curves["test error"][-1],
        "diverged": training.t < run.steps,
        "updates": training.t,
        "parameters": sum(p.numel() for p in training.net.parameters()),
        "seconds": round(training.seconds, 1),
        "scalars": training.scalars(),
        "by epoch": {
            name: [value if math.isfinite(value) else None for value in values]
            for name, values in training.curves.items()
        },
    }
