"""The networks of the papers, for images of 32 x 32 pixels, in plain torch.

| network | from | parameters, ten classes |
|---|---|---|
| ResNet-32 | He et al. 2016, section 4.2 | 464,154 |
| WRN-22-7.5 | Zagoruyko & Komodakis 2016, Zhang et al. 2017 | 15,082,554 |
| 26 2x64d | Gastaldi 2017, "Shake-Shake" | 11,653,978 |
| VGG-16 with batch normalisation and dropout | Zagoruyko's cifar.torch | 14,991,946 |

Convolutions begin with He's normal numbers over the outputs, as in the programs behind the papers.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, which keeps the size of the image where the stride is 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def stages(block: type[nn.Module], widths: list[int], count: int) -> nn.Sequential:
    """Three stages of `count` blocks; the second and third begin with a stride of 2.

    widths  channels that come in, and those of the three stages
    """
    blocks = []
    for i, (inputs, outputs) in enumerate(zip(widths, widths[1:], strict=False)):
        blocks.append(block(inputs, outputs, stride=1 if i == 0 else 2))
        blocks += [block(outputs, outputs, stride=1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def blocks_for(depth: int, others: int) -> int:
    """Blocks in a stage: each holds two layers on the way, and `others` stand outside the stages."""
    if depth <= others or (depth - others) % 6:
        raise ValueError(f"depth: expected 6 n + {others}, with n = 1, 2, ..., got {depth}")
    return (depth - others) // 6


def head(channels: int, classes: int) -> nn.Sequential:
    """The mean over the image, then one linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def initialised(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return net


# ---- ResNet: SWATS


class ResNetBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.more = stride, outputs - inputs
        self.branch = nn.Sequential(
            conv(inputs, outputs, stride=stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            conv(outputs, outputs),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut has no parameters: every other pixel, and zeros for the new channels."""
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(shortcut + self.branch(x))


def resnet(depth: int, width: float, classes: int) -> nn.Module:
    """ResNet-20, -32, ... of He et al.: depth = 6 n + 2; width 1 means 16, 32 and 64 channels."""
    w = [int(width * channels) for channels in (16, 16, 32, 64)]
    body = stages(ResNetBlock, w, blocks_for(depth, 2))
    return initialised(
        nn.Sequential(conv(3, w[0]), nn.BatchNorm2d(w[0]), nn.ReLU(), body, head(w[3], classes))
    )


# ---- Wide ResNet: ND-Adam


class WideBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        self.branch = nn.Sequential(
            conv(inputs, outputs, stride=stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            conv(outputs, outputs),
        )
        self.shortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        ready = self.before(x)
        shortcut = x if self.shortcut is None else self.shortcut(ready)
        out: Tensor = shortcut + self.branch(ready)
        return out


def wide_resnet(depth: int, width: float, classes: int) -> nn.Module:
    """WRN-depth-width: depth = 6 n + 4, `width` times the channels of a ResNet, no dropout.

    Zhang et al. let the linear layer come before the mean over the image. Both are linear, so the
    function is the same.
    """
    w = [16, *(int(width * channels) for channels in (16, 32, 64))]
    body = stages(WideBlock, w, blocks_for(depth, 4))
    return initialised(
        nn.Sequential(conv(3, 16), body, nn.BatchNorm2d(w[3]), nn.ReLU(), head(w[3], classes))
    )


# ---- Shake-Shake: decoupled weight decay and warm restarts


def shaken(one: Tensor, other: Tensor) -> Tensor:
    """alpha one + (1 - alpha) other, differentiated as if the share had been beta.

    Both shares are uniform, and drawn for every image.
    """
    alpha, beta = torch.rand(2, len(one), 1, 1, 1, device=one.device, dtype=one.dtype)
    difference = one - other
    out: Tensor = other + beta * difference + (alpha - beta) * difference.detach()
    return out


class Shifted(nn.Module):
    """Half of the channels from every other pixel, half from the pixels up and left of those."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.one, self.other = (conv(inputs, outputs // 2, 1) for _ in range(2))
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        shifted = F.pad(x, (1, -1, 1, -1))
        there, s = (x, shifted), self.stride
        halves = [c(y[:, :, ::s, ::s]) for c, y in zip((self.one, self.other), there, strict=True)]
        out: Tensor = self.norm(torch.cat(halves, dim=1))
        return out


class ShakeBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.one, self.other = (
            nn.Sequential(
                conv(inputs, outputs, stride=stride),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                conv(outputs, outputs),
                nn.BatchNorm2d(outputs),
            )
            for _ in range(2)
        )
        self.shortcut = Shifted(inputs, outputs, stride) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        ready = F.relu(x)
        one, other = self.one(ready), self.other(ready)
        mixed = shaken(one, other) if self.training else (one + other) / 2
        return x + mixed if self.shortcut is None else self.shortcut(ready) + mixed


def shake_shake(depth: int, width: float, classes: int) -> nn.Module:
    """26 2x64d is depth 26, width 64: two branches, 64 channels in the first stage."""
    w = [16, *(int(width * share) for share in (1, 2, 4))]
    body = stages(ShakeBlock, w, blocks_for(depth, 2))
    return initialised(
        nn.Sequential(conv(3, 16), nn.BatchNorm2d(16), body, nn.ReLU(), head(w[3], classes))
    )


# ---- VGG: the marginal value of adaptive methods


def vgg(depth: int, width: float, classes: int) -> nn.Module:
    """13 convolutions in five stages, each but a stage's last with dropout, then two linear layers."""
    if depth != 16:
        raise ValueError(f"depth: expected 16, got {depth}")
    layers: list[nn.Module] = []
    inputs, last = 3, int(512 * width)
    for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for i in range(count):
            outputs = int(channels * width)
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.Dropout((0.3 if channels == 64 else 0.4) if i < count - 1 else 0.0),
            ]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    top = [nn.Dropout(0.5), nn.Linear(last, last), nn.BatchNorm1d(last), nn.ReLU(), nn.Dropout(0.5)]
    return initialised(nn.Sequential(*layers, nn.Flatten(), *top, nn.Linear(last, classes)))


BUILDERS: dict[str, Any] = {
    "ResNet": resnet,
    "Wide ResNet": wide_resnet,
    "Shake-Shake": shake_shake,
    "VGG": vgg,
}
