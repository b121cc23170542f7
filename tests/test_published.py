"""The published-scale experiments: networks, data, settings and runs, in seconds on a CPU.

Nothing here is downloaded. The archives of the tests are made here, and fetched from a file.
"""

import ast
import dataclasses
import hashlib
import io
import json
import math
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tqdm")
torch = pytest.importorskip("torch")
nn = torch.nn

import adam_tutorial  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "experiments" / "published"
sys.path.insert(0, str(PUBLISHED))

import cifar  # noqa: E402
import methods  # noqa: E402
import networks  # noqa: E402
import run as program  # noqa: E402
import settings  # noqa: E402
import training  # noqa: E402
from settings import EPOCH, EXPERIMENTS, Run  # noqa: E402

CPU = torch.device("cpu")
NEEDS = {"AdamW": "PaperAdamW", "SGDW": "SGDW", "SWATS": "SWATS", "NDAdam": "NDAdam"}
METHODS = ["SGD", "Momentum", "Adagrad", "RMSProp", "Adam", *NEEDS]


def needs(method):
    """A class that another chapter makes may not be there yet."""
    if method in NEEDS and not hasattr(adam_tutorial, NEEDS[method]):
        pytest.skip(f"adam_tutorial has no {NEEDS[method]} yet")


def small(method="Adam", lr=0.01, **changes):
    """A run of a tiny ResNet: 6 updates, in epochs of 4."""
    usual = {"network": "ResNet", "depth": 8, "width": 0.25, "steps": 6, "batch": 16}
    return Run(method, lr, **{**usual, **changes})


def started(run, data=None):
    return training.Training(run, data or cifar.synthetic(10), CPU)


def weights(net):
    return torch.cat([tensor.flatten().double() for tensor in net.state_dict().values()])


# ---- Networks


@pytest.mark.parametrize(
    ("build", "depth", "width", "count"),
    [
        (networks.resnet, 20, 1, 269_722),
        (networks.resnet, 32, 1, 464_154),  # He et al., table 6: 0.46 M
        (networks.resnet, 110, 1, 1_727_962),  # and 1.7 M
        (networks.wide_resnet, 16, 10, 17_116_634),
        (networks.wide_resnet, 28, 10, 36_479_194),  # Zagoruyko & Komodakis: 36.5 M
        (networks.wide_resnet, 22, 7.5, 15_082_554),
        (networks.shake_shake, 20, 16, 541_082),
        (networks.shake_shake, 26, 32, 2_923_162),
        (networks.shake_shake, 26, 64, 11_653_978),  # Loshchilov & Hutter, section 4: 11.6 M
        (networks.shake_shake, 26, 96, 26_192_922),  # and 25.6 M, which is not what this is
        (networks.vgg, 16, 1, 14_991_946),
    ],
)
def test_parameters_are_as_many_as_others_count(build, depth, width, count):
    with torch.device("meta"):
        net = build(depth, width, 10)
        assert net(torch.empty(2, 3, 32, 32)).shape == (2, 10)
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize("network", networks.BUILDERS)
def test_every_parameter_of_a_network_learns(network):
    depth, width = program.TINY[network]
    net = networks.BUILDERS[network](depth, width, 100)
    scores = net(torch.randn(4, 3, 32, 32))
    scores.logsumexp(1).sum().backward()
    assert scores.shape == (4, 100)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(
    ("network", "depth"), [("ResNet", 33), ("ResNet", 2), ("Wide ResNet", 8), ("VGG", 19)]
)
def test_a_depth_that_does_not_exist_is_refused(network, depth):
    with pytest.raises(ValueError, match=rf"depth: expected .*, got {depth}"):
        networks.BUILDERS[network](depth, 1, 10)


def test_the_shortcut_of_a_resnet_has_no_parameters():
    block = networks.ResNetBlock(2, 4, stride=2)
    nn.init.zeros_(block.branch[-1].weight)
    x = torch.randn(1, 2, 6, 6)
    out = block(x)
    assert torch.equal(out[:, :2], x[:, :, ::2, ::2].relu()) and not out[:, 2:].any()


def test_a_shake_is_one_share_forward_and_another_backward():
    one, other = (torch.randn(5, 2, 3, 3, requires_grad=True) for _ in range(2))
    torch.manual_seed(3)
    alpha, beta = torch.rand(2, 5, 1, 1, 1)
    torch.manual_seed(3)
    out = networks.shaken(one, other)
    out.sum().backward()
    assert torch.allclose(out, alpha * one + (1 - alpha) * other, atol=1e-6)
    assert torch.allclose(one.grad, beta.expand_as(one), atol=1e-6)
    assert torch.allclose(other.grad, (1 - beta).expand_as(other), atol=1e-6)


def test_a_shake_block_shakes_in_training_only():
    net = networks.shake_shake(8, 8, 10)
    x = torch.randn(4, 3, 32, 32)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_half_of_a_shifted_shortcut_sees_the_pixels_up_and_left():
    shortcut = networks.Shifted(1, 2, stride=2).eval()
    for half in (shortcut.one, shortcut.other):
        nn.init.ones_(half.weight)
    x = torch.arange(1.0, 17.0).reshape(1, 1, 4, 4)
    there, shifted = shortcut(x)[0] * math.sqrt(1 + 1e-5)
    assert torch.allclose(there, torch.tensor([[1.0, 3.0], [9.0, 11.0]]))
    assert torch.allclose(shifted, torch.tensor([[0.0, 0.0], [0.0, 6.0]]))


# ---- Data


def archive_of(folder, records, labels, members=None):
    """An archive as CIFAR's, with these records in two training files and one test file."""
    names = [f"batches/{name}.bin" for name in ("one", "two", "test")]
    path = folder / "small.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, part in zip(names, records, strict=True):
            info = tarfile.TarInfo(name)
            info.size = len(part)
            tar.addfile(info, io.BytesIO(part))
        for member in members or ():
            tar.addfile(member)
    kept = path.read_bytes()
    return cifar.Archive(
        path.as_uri(), len(kept), hashlib.sha256(kept).hexdigest(), tuple(names[:2]), (names[2],),
        labels, 10,
    )  # fmt: skip


@pytest.fixture(params=[1, 2], ids=["cifar10", "cifar100"])
def known(request, tmp_path):
    """An archive in a folder of its own, its pixels and its labels: 3, 2 and 4 images."""
    rng = np.random.default_rng(0)
    tables = [rng.integers(0, 10, (n, request.param + cifar.PIXELS), np.uint8) for n in (3, 2, 4)]
    source = tmp_path / "source"
    source.mkdir()
    return archive_of(source, [t.tobytes() for t in tables], request.param), tables


def test_an_archive_is_read_as_it_was_written(known, tmp_path):
    archive, (one, two, test) = known
    data = cifar.load(archive, tmp_path / "cache")
    train, k = np.concatenate([one, two]), archive.labels
    assert data.train.pixels.shape == (5, 3, 32, 32) and data.train.pixels.dtype == torch.uint8
    assert np.array_equal(data.train.pixels.numpy().reshape(5, -1), train[:, k:])
    assert np.array_equal(data.train.labels.numpy(), train[:, k - 1])  # the fine one, of two
    assert np.array_equal(data.test.labels.numpy(), test[:, k - 1])


def test_an_archive_is_fetched_once_and_checked_always(known, tmp_path):
    archive, _ = known
    cifar.load(archive, tmp_path / "cache")
    (tmp_path / "source/small.tar.gz").unlink()
    cifar.load(archive, tmp_path / "cache")
    cached = archive.path(tmp_path / "cache")
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match="SHA-256 .* It was not opened"):
        cifar.load(archive, tmp_path / "cache")


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda b: b[:100] + bytes([b[100] ^ 1]) + b[101:],
        lambda b: b[:-1],
        lambda b: b + bytes(10**6),
    ],
    ids=["another bit", "too short", "too long"],
)
def test_an_answer_that_differs_is_refused_and_not_kept(known, tmp_path, spoilt, monkeypatch):
    archive, _ = known
    source = tmp_path / "source/small.tar.gz"
    source.write_bytes(spoilt(source.read_bytes()))
    monkeypatch.setattr(tarfile, "open", lambda *_: pytest.fail("opened what was not checked"))
    with pytest.raises(ValueError, match="expected .* bytes with SHA-256") as refused:
        cifar.load(archive, tmp_path / "cache")
    got = int(re.search(r"got (\d+) bytes", str(refused.value))[1])
    assert got <= archive.length + 1  # an endless answer ends
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path):
    link = tarfile.TarInfo("batches/more.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    record = bytes(1 + cifar.PIXELS)
    archive = archive_of(tmp_path, [record] * 3, 1, [link])
    archive = dataclasses.replace(archive, test=("batches/more.bin",))
    with pytest.raises((ValueError, KeyError)):
        cifar.load(archive, tmp_path / "cache")


def test_the_archives_are_the_binary_ones():
    for archive in cifar.ARCHIVES.values():
        assert re.fullmatch(
            r"https://www\.cs\.toronto\.edu/~kriz/cifar-100?-binary\.tar\.gz", archive.url
        )
        assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256) and archive.length > 160e6
    assert [(len(a.train), a.labels, a.classes) for a in cifar.ARCHIVES.values()] == [
        (5, 1, 10),
        (1, 2, 100),
    ]
    assert not re.search(r"import pickle|pickle\.load", (PUBLISHED / "cifar.py").read_text("utf-8"))


def test_an_augmented_image_is_a_crop_of_the_padded_one_or_of_its_mirror():
    images = torch.randn(120, 3, 32, 32)
    padded = np.pad(images.numpy(), [(0, 0), (0, 0), (4, 4), (4, 4)])
    new = cifar.augmented(images, torch.Generator().manual_seed(0))
    assert new.shape == images.shape and new.dtype == images.dtype
    found = set()
    for image, wide in zip(new.numpy(), padded, strict=True):
        (how,) = [
            (i, j, turned)
            for i in range(9)
            for j in range(9)
            for turned in (1, -1)
            if np.array_equal(image, wide[:, i : i + 32, j : j + 32][:, :, ::turned])
        ]
        found.add(how)
    assert len(found) > 60 and {turned for *_, turned in found} == {1, -1}
    assert {i for i, *_ in found} == {j for _, j, _ in found} == set(range(9))


def test_augmentation_is_seeded():
    images = torch.randn(8, 3, 32, 32)
    one, same, other = (
        cifar.augmented(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_normalised_images_have_mean_zero_and_deviation_one():
    train = cifar.synthetic(10).train
    ready = cifar.Normaliser.of(train)(train.pixels)
    assert torch.allclose(ready.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(ready.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_an_epoch_meets_every_image_once_in_an_order_of_its_own():
    train = cifar.synthetic(10, 50).train
    train = cifar.Images(train.pixels, torch.arange(50))
    ready = cifar.Normaliser.of(train)

    def order(seed, epoch):
        parts = [labels for _, labels in cifar.batches(train, ready, 16, seed, epoch)]
        assert [len(part) for part in parts] == [16, 16, 16, 2]
        return torch.cat(parts).tolist()

    assert sorted(order(0, 0)) == list(range(50))
    assert order(0, 0) == order(0, 0) != order(0, 1) != order(1, 0) != order(0, 0)


# ---- Settings


def test_an_epoch_is_so_many_updates():
    assert math.ceil(50_000 / 128) == EPOCH


def test_drops_and_restarts_come_after_their_epochs():
    eta = settings.multiplier(settings.swats().runs[0])
    at = [(150, 1, 0.1), (225, 0.1, 0.01), (262, 0.01, 0.001)]
    for epoch, before, after in at:
        assert eta(epoch * EPOCH) == pytest.approx(before)
        assert eta(epoch * EPOCH + 1) == pytest.approx(after)
    eta = settings.multiplier(next(run for run in settings.warm_restarts().runs if run.at))
    for epoch in (0, 100, 300, 700):
        assert eta(epoch * EPOCH + 1) == 1 and (not epoch or eta(epoch * EPOCH) < 1e-8)
    assert eta(200 * EPOCH + 1) == eta(500 * EPOCH + 1) == pytest.approx(0.5)  # half of a cycle


def test_a_cosine_falls_from_one_to_zero():
    run = settings.nd_adam().runs[0]
    eta = settings.multiplier(run)
    assert run.steps == 80_000 and eta(1) == 1 and eta(40_001) == pytest.approx(0.5)
    assert 0 < eta(80_000) < 1e-8 and settings.multiplier(small(shape="drops"))(5) == 1


def test_normalised_decay_is_that_of_the_paper():
    """lambda_norm sqrt(b / (B T)) for 100 epochs, up to the last batch, which is not full."""
    run = small(decay=0.05, normalised=True, steps=100 * EPOCH)
    assert settings.decay_at(run, 1) == pytest.approx(
        0.05 * math.sqrt(128 / (50_000 * 100)), rel=1e-3
    )
    run = next(run for run in settings.warm_restarts().runs if run.at)
    assert settings.decay_at(run, 101 * EPOCH) == pytest.approx(0.025 / math.sqrt(200 * EPOCH))
    assert settings.decay_at(small(decay=0.3), 1) == 0.3


def test_the_experiments_are_those_of_the_papers():
    made = {name: make() for name, make in EXPERIMENTS.items()}
    assert {name: len(each.runs) for name, each in made.items()} == {
        "weight_decay": 8 * 11 * 8, "warm_restarts": 5, "swats": 38, "nd_adam": 6, "marginal_value": 5,
    }  # fmt: skip
    for each in made.values():
        names = [str(run) for run in each.runs]
        assert len(set(names)) == len(names) and set(each.published) <= set(names)
        assert {run.method for run in each.runs} <= set(METHODS)
        assert {run.network for run in each.runs} <= set(networks.BUILDERS)
    errors = made["nd_adam"].published
    assert sorted(errors.values()) == [4.53, 4.61, 6.14, 20.60, 21.45, 25.51]
    assert {run.width for run in made["weight_decay"].runs} == {64}


# ---- Methods


def after(run, updates=3, gradient=None):
    """The weights of a small network after a few updates, and its optimizer."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 2, bias=False), nn.Flatten(), nn.BatchNorm1d(27), nn.Linear(27, 2)
    ).double()
    optimizer = methods.optimizer(run, net)
    x = torch.randn(8, 1, 4, 4, dtype=torch.float64)
    for t in range(1, updates + 1):
        methods.before_step(run, optimizer, t)
        optimizer.zero_grad()
        (net(x).square().sum() if gradient is None else gradient * net(x).sum()).backward()
        optimizer.step()
    return net, optimizer


def parameters(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize("method", ["SGD", "Momentum", "Adagrad", "RMSProp", "Adam", "AdamW"])
@pytest.mark.parametrize("only_weights", [False, True])
def test_torchs_own_optimizers_take_the_same_steps(method, only_weights):
    needs(method)
    run = Run(method, 0.01, decay=0.1, only_weights=only_weights, shape="drops", steps=3)
    if method != "Momentum":  # its rate acts inside the average, torch's outside
        run = dataclasses.replace(run, at=(1,))
    own, _ = after(run)
    other, _ = after(dataclasses.replace(run, library="torch"))
    assert torch.allclose(parameters(own), parameters(other), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["AdamW", "SGDW"])
def test_decoupled_decay_is_not_multiplied_by_the_learning_rate(method):
    """Loshchilov & Hutter's lambda: without gradient, a step takes eta lambda of each weight away."""
    needs(method)
    for lr in (0.1, 0.001):
        run = Run(method, lr, decay=0.25, shape="drops", drop=0.5, at=(1,), steps=2)
        still = parameters(after(run, updates=0)[0])
        net, _ = after(run, updates=2, gradient=0.0)
        assert torch.allclose(parameters(net), still * (1 - 0.25) * (1 - 0.125), rtol=1e-12)


def test_decay_can_spare_biases_and_batch_normalisation():
    run = Run("Momentum", 0.1, decay=0.5, only_weights=True, shape="drops", steps=1)
    before, _ = after(run, updates=0)
    net, _ = after(run, updates=1, gradient=0.0)
    for old, new in zip(before.parameters(), net.parameters(), strict=True):
        assert torch.allclose(new, old * (0.95 if old.dim() > 1 else 1.0))


def test_nd_adam_keeps_one_vector_of_length_one_for_each_output():
    needs("NDAdam")
    net, _ = after(Run("NDAdam", 0.001, steps=3))
    lengths = [p.flatten(1).norm(dim=1) for p in net.parameters() if p.dim() > 1]
    assert len(lengths) == 2 and all(torch.allclose(n, torch.ones_like(n)) for n in lengths)


def test_swats_says_when_it_switched():
    needs("SWATS")
    found = training.carried_out(started(small("SWATS", decay=1e-4)))
    assert {"switched", "lr_sgd"} <= set(found["scalars"])


def test_what_torch_does_not_have_is_left_out(capsys):
    program.main(["swats", "--torch", "--list", "--seeds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 24 and all("torch's own" in line for line in lines)
    assert not any("SWATS" in line for line in lines)


# ---- Runs


@pytest.mark.parametrize(
    ("library", "method"),
    [*(("adam_tutorial", m) for m in METHODS), *(("torch", m) for m in ("Momentum", "AdamW"))],
)
def test_a_run_goes_on_as_if_it_had_never_stopped(library, method, tmp_path):
    needs(method)
    run = small(
        method,
        0.003,
        decay=0.01,
        at=(3,),
        network="Shake-Shake",
        width=8,
        held_out=8,
        library=library,
    )
    whole = started(run)
    results = training.carried_out(whole)
    path = tmp_path / "run.pt"
    stopped = started(run)
    stopped.one_epoch(SimpleBar(), training.Clock(run, CPU, 1))
    stopped.save(path)
    torch.manual_seed(77)  # another process
    resumed = started(run)
    again = training.carried_out(resumed, path)
    assert stopped.t == 4 and resumed.t == whole.t == 6
    assert torch.equal(weights(whole.net), weights(resumed.net))
    assert again["by epoch"] == results["by epoch"] and again["scalars"] == results["scalars"]
    assert len(results["by epoch"]["validation error"]) == 2


class SimpleBar:
    def update(self):
        pass


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    started(small()).save(tmp_path / "run.pt")
    with pytest.raises(ValueError, match="expected the checkpoint of"):
        started(small(seed=1)).load(tmp_path / "run.pt")


def test_a_checkpoint_that_was_cut_short_is_not_taken_for_one(tmp_path, monkeypatch):
    """It is written beside its place first."""

    def cut(_kept, path):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(OSError, match="disk full"):
        started(small()).save(tmp_path / "run.pt")
    assert not (tmp_path / "run.pt").exists()


def test_one_seed_is_one_beginning_and_one_course():
    first, same, other, method = (
        started(small(seed=seed, method=method))
        for seed, method in ((0, "Adam"), (0, "Adam"), (1, "Adam"), (0, "RMSProp"))
    )
    assert torch.equal(weights(first.net), weights(same.net))
    assert torch.equal(weights(first.net), weights(method.net))  # paired across methods
    assert not torch.equal(weights(first.net), weights(other.net))
    training.carried_out(first)
    training.carried_out(same)
    assert torch.equal(weights(first.net), weights(same.net))


def test_a_network_learns_what_it_can():
    """A colour for each class: a minute of training in small."""
    data = cifar.synthetic(4)
    colours = torch.tensor(
        [[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 250]], dtype=torch.uint8
    )
    pixels = colours[data.train.labels][:, :, None, None].expand(-1, 3, 32, 32).clone()
    images = cifar.Images(pixels, data.train.labels)
    run = small("Adam", 0.01, steps=40, shape="drops")
    found = training.carried_out(started(run, cifar.Data(images, images, 4)))
    losses = found["by epoch"]["train loss"]
    assert len(losses) == 10 and losses[-1] < 0.3 < losses[0] and not found["diverged"]


def test_an_error_is_a_share_in_percent_and_taking_it_changes_nothing():
    one = started(small(network="Shake-Shake", width=8))
    before, seen = weights(one.net), {one.error(one.test) for _ in range(3)}
    assert torch.equal(weights(one.net), before) and len(seen) == 1
    with torch.no_grad():
        guesses = one.net(one.normaliser(one.test.pixels)).argmax(dim=1)
    assert seen == {100 * float((guesses != one.test.labels).double().mean())}


def test_a_run_whose_loss_is_not_finite_ends():
    found = training.carried_out(started(small("SGD", 1e30, steps=400)))
    assert found["diverged"] and found["updates"] <= 12
    assert found["by epoch"]["train loss"][-1] is None
    json.dumps(found, allow_nan=False)


def test_mixed_precision_keeps_its_weights_in_float32():
    run = started(small(precision="bfloat16"))
    found = training.carried_out(run)
    exact = training.carried_out(started(small()))["by epoch"]["train loss"]
    assert found["by epoch"]["train loss"] != exact  # it is another precision
    assert found["by epoch"]["train loss"] == pytest.approx(exact, rel=0.05)
    assert math.isfinite(found["by epoch"]["train loss"][-1])
    assert all(p.dtype == torch.float32 for p in run.net.parameters())


def test_the_time_is_estimated_after_fifty_updates(monkeypatch):
    said = []
    monkeypatch.setattr(training.tqdm, "write", said.append)
    now = iter([100.0, 104.0])
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(now))
    clock = training.Clock(small(steps=36_051), CPU, runs=3)
    for t in range(1, 200):
        clock.tick(t)
    assert said == ["100 ms an update: about 1.0 h for this run, and 2.0 h for the 2 runs after it"]


# ---- The program


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_dry_run_of_every_experiment(name, tmp_path, capsys):
    for method in {run.method for run in EXPERIMENTS[name]().runs}:
        needs(method)
    program.main([name, "--dry-run", "--results", str(tmp_path), "--hold-out", "5000"])
    capsys.readouterr()
    program.main([name, "--dry-run", "--results", str(tmp_path), "--hold-out", "5000"])
    assert "0 of them still to do" in capsys.readouterr().out
    records = [json.loads(path.read_text("utf-8")) for path in tmp_path.glob("*.json")]
    kinds = {(r.data, r.method, r.shape, bool(r.at)) for r in EXPERIMENTS[name]().runs}
    assert len(records) == len(kinds)
    for record in records:
        assert set(record) == {"setting", "run", "results"}
        assert record["run"]["steps"] == record["results"]["updates"] == 2
        assert record["setting"]["versions"]["torch"] == torch.__version__
        assert record["setting"]["gpu"] is None and record["run"]["precision"] == "float32"
        assert {"test error", "parameters", "seconds", "by epoch"} <= set(record["results"])
        assert set(record["results"]["by epoch"]) == {
            "train loss",
            "test error",
            "validation error",
        }
        assert str(ROOT) not in json.dumps(record)
    program.main([name, "--table", "--results", str(tmp_path)])
    assert len(capsys.readouterr().out.splitlines()) == len(records) + 1


def test_the_program_runs_as_its_text_says(tmp_path):
    command = [
        sys.executable,
        PUBLISHED / "run.py",
        "nd_adam",
        "--dry-run",
        "--match",
        "cifar10, Adam*",
    ]
    done = subprocess.run([*command, "--results", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text("utf-8"))["run"]["method"] == "Adam"


def test_a_run_asks_for_a_folder():
    with pytest.raises(SystemExit, match="Give --folder"):
        program.main(["swats"])
    with pytest.raises(SystemExit, match="needs --results"):
        program.main(["swats", "--dry-run"])


def test_runs_can_be_listed_and_chosen(capsys):
    program.main(
        ["swats", "--list", "--seeds", "2", "--match", "cifar100, SWATS*", "--hold-out", "9"]
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 14 and lines[0].startswith("cifar100, SWATS, drops, lr 0.0005")
    assert lines[0].endswith("9 held out, seed 0") and lines[-1].endswith("seed 1")


def test_a_full_run_fetches_trains_records_and_clears_its_checkpoint(
    known, tmp_path, monkeypatch, capsys
):
    archive, _ = known
    monkeypatch.setitem(program.ARCHIVES, "cifar10", archive)
    runs = tuple(small(lr=lr, steps=2, batch=4) for lr in (0.1, 0.01))
    made = settings.Experiment(runs, 2, {str(runs[0]): 12.5})
    monkeypatch.setitem(program.EXPERIMENTS, "swats", lambda: made)
    results = tmp_path / "results"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    program.main(["swats", "--folder", str(tmp_path / "cache"), "--results", str(results)])
    assert len(list(results.glob("*.json"))) == 4
    assert list((tmp_path / "cache/checkpoints").iterdir()) == []
    first, last = capsys.readouterr().out.splitlines()[-2:]
    assert re.fullmatch(r"cifar10, Adam, cosine, lr 0.01, .* \+- \d+\.\d\d \(2\) \| ", first)
    assert last.endswith("| 12.5")


def test_the_spread_is_the_standard_deviation_of_a_sample():
    assert program.over_seeds([1.0, 3.0]) == "2.00 +- 1.41" and program.over_seeds([5]) == "5.00"


def test_the_package_needs_nothing_of_it():
    for path in [*(ROOT / "adam_tutorial").glob("*.py"), *(ROOT / "experiments").glob("*.py")]:
        tree = ast.parse(path.read_text("utf-8"))
        names = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not names & {path.stem for path in PUBLISHED.glob("*.py")}


def test_the_readme_says_what_is_recorded():
    text = " ".join((PUBLISHED / "README.md").read_text("utf-8").split())
    recorded = list((ROOT / "experiments/results/published").glob("*/*.json"))
    assert ("no result of this scale is recorded yet" in text) == (not recorded)
    for name in EXPERIMENTS:
        assert f"experiments/published/run.py {name} --folder" in text
