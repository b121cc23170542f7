"""CIFAR-10 and CIFAR-100: the binary archives, checked before they are opened, and augmentation.

The binary version holds bytes and nothing else, so no pickle is ever loaded. Length and SHA-256 are
those that TensorFlow Datasets and others publish for the files of https://www.cs.toronto.edu/~kriz/cifar.html;
the MD5 sums on that page are c32a1d4ab5d03f1284b67883e8d87530 and 03b5dce01913d631647c71ecec9e9cb8.
"""

import hashlib
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

SIDE, PAD = 32, 4  # pixels
PIXELS = 3 * SIDE * SIDE  # bytes of an image: red, green, blue, each row by row


@dataclass(frozen=True)
class Archive:
    """A file to fetch, what it must be to the byte, and where in it the images are."""

    url: str
    length: int
    sha256: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: int  # bytes before each image; the last one is the class
    classes: int

    def path(self, folder: Path) -> Path:
        return folder / self.url.rpartition("/")[2]


ARCHIVES = {
    "cifar10": Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        length=170_052_171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        train=tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
        test=("cifar-10-batches-bin/test_batch.bin",),
        labels=1,
        classes=10,
    ),
    "cifar100": Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        length=168_513_733,
        sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        train=("cifar-100-binary/train.bin",),
        test=("cifar-100-binary/test.bin",),
        labels=2,
        classes=100,
    ),
}


@dataclass(frozen=True)
class Images:
    pixels: Tensor  # uint8, (n, 3, 32, 32)
    labels: Tensor  # int64, (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice) -> "Images":
        return Images(self.pixels[chosen], self.labels[chosen])

    def to(self, device: torch.device) -> "Images":
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Data:
    train: Images
    test: Images
    classes: int


# ---- From the archive to tensors


def fetch(archive: Archive, folder: Path) -> Path:
    """The archive in this folder, fetched if it is not there; refused if a byte of it is different.

    Raises ValueError for another length or SHA-256, and leaves no such file behind that it fetched.
    """
    path = archive.path(folder)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        try:
            download(archive, part)
            check(archive, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    check(archive, path)
    return path


def download(archive: Archive, path: Path) -> None:
    """At most one byte more than there should be, so that an endless answer ends."""
    with (
        urllib.request.urlopen(archive.url, timeout=60) as answer,
        path.open("wb") as file,
        tqdm(total=archive.length, unit="B", unit_scale=True, desc=path.stem) as bar,
    ):
        while len(block := answer.read(min(2**20, archive.length + 1 - file.tell()))):
            file.write(block)
            bar.update(len(block))


def check(archive: Archive, path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if (length := path.stat().st_size) != archive.length or found != archive.sha256:
        raise ValueError(
            f"{archive.path(path.parent)}: expected {archive.length} bytes with SHA-256 "
            f"{archive.sha256}, got {length} bytes with {found}. It was not opened. Delete it if it "
            f"is there, or fetch {archive.url} by hand into that place."
        )


def images(tar: tarfile.TarFile, names: tuple[str, ...], archive: Archive) -> Images:
    """The records of these members, in order; nothing is written to disk."""
    record, rows = archive.labels + PIXELS, []
    for name in names:
        member = tar.extractfile(name)
        if member is None:
            raise ValueError(f"{name}: expected a file in the archive, found something else.")
        rows.append(np.frombuffer(member.read(), np.uint8).reshape(-1, record))
    table = np.concatenate(rows)
    return Images(
        torch.from_numpy(table[:, archive.labels :].reshape(-1, 3, SIDE, SIDE).copy()),
        torch.from_numpy(table[:, archive.labels - 1].astype(np.int64)),
    )


def load(archive: Archive, folder: Path) -> Data:
    """Training and test images, from the archive in this folder; it is fetched at the first call."""
    with tarfile.open(fetch(archive, folder)) as tar:
        train, test = (images(tar, names, archive) for names in (archive.train, archive.test))
    return Data(train, test, archive.classes)


def synthetic(classes: int, count: int = 64) -> Data:
    """Noise in the shape of CIFAR, for a run that only shows that everything works."""
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=rng, dtype=torch.uint8)
    noise = Images(pixels, torch.randint(0, classes, (count,), generator=rng))
    return Data(noise, noise, classes)


# ---- From the tensors to batches


@dataclass(frozen=True)
class Normaliser:
    """To mean 0 and standard deviation 1 in each channel, over the training images."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, train: Images) -> "Normaliser":
        dims = (0, 2, 3)
        std, mean = torch.std_mean(train.pixels.float(), dim=dims, keepdim=True, correction=0)
        return cls(mean, std)

    def __call__(self, pixels: Tensor) -> Tensor:
        return (pixels.float() - self.mean) / self.std


def augmented(batch: Tensor, rng: torch.Generator) -> Tensor:
    """Each image moved by up to four pixels both ways, zeros moving in, and mirrored or not.

    batch  (n, channels, 32, 32), normalised, so that a zero is the mean colour
    """
    n, channels, *_ = batch.shape
    moves = torch.randint(0, 2 * PAD + 1, (2, n, 1), generator=rng)
    mirrored = torch.randint(0, 2, (n, 1), generator=rng).bool()
    rows, columns = moves + torch.arange(SIDE)
    columns = torch.where(mirrored, columns.flip(1), columns)
    return F.pad(batch, (PAD,) * 4)[
        torch.arange(n, device=batch.device)[:, None, None, None],
        torch.arange(channels, device=batch.device)[:, None, None],
        rows.to(batch.device)[:, None, :, None],
        columns.to(batch.device)[:, None, None, :],
    ]


def batches(
    train: Images, normaliser: Normaliser, size: int, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch, shuffled and augmented: the draws depend on seed and epoch, and on nothing else."""
    rng = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    for chosen in torch.split(torch.randperm(len(train), generator=rng), size):
        there = chosen.to(train.labels.device)
        yield augmented(normaliser(train.pixels[there]), rng), train.labels[there]
