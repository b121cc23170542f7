"""Checkpoints: one file, from which a run goes on as if it had never stopped.

The file is an .npz: plain arrays, which NumPy opens, and a page of JSON. Nothing is pickled, so to
read one runs no code. It is written beside its name and then renamed, so the name always holds a
whole file. `load` knows from the run's own arrays what the file must hold, and changes nothing
before it has found all of it.
"""

# Generated from chapters/checkpoints.ipynb by tools/tangle.py: edit the chapter, then run make tangle.

import contextlib
import json
import math
import os
import reprlib
import secrets
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from adam_tutorial.backends import asarray, of, to
from adam_tutorial.optimizer import Optimizer, State, check_leaf, slots_of
from adam_tutorial.trees import Array, Tree, leaves, paths


# %% chapters/checkpoints.ipynb#checkpoints-imports
class CheckpointError(ValueError):
    """The file is no whole checkpoint, or not one of this run. Nothing was changed."""


# %% chapters/checkpoints.ipynb#checkpoints-addresses
def _addresses(tree: Tree, root: str = "") -> list[str]:
    """The name of each leaf in the file, in the order of `leaves`; no two are the same."""
    if isinstance(tree, dict):
        branches = [(_spelled(key, root), branch) for key, branch in tree.items()]
    elif isinstance(tree, (list, tuple)):
        branches = [(str(i), branch) for i, branch in enumerate(tree)]
    else:
        return [root]
    return [name for key, branch in branches for name in _addresses(branch, f"{root}/{key}")]


def _spelled(key: Any, root: str) -> str:
    """A key of a dict: "a/b" is "a%2Fb", the int 0 is "#0"; what looks like a place or ".." is not."""
    if isinstance(key, int) and not isinstance(key, bool):
        return f"#{key}"
    if not isinstance(key, str):
        raise TypeError(f"params{root}: expected keys that are str or int, got {key!r}.")
    text = quote(key, safe="", errors="surrogatepass")
    return f"%{ord(text[0]):02X}{text[1:]}" if text.isdigit() or text in (".", "..") else text


# %% chapters/checkpoints.ipynb#checkpoints-members
def _members(method: Optimizer, params: Tree, state: State) -> dict[str, Array]:
    """Every array of a run, by its name in the file: "params/w", "state.m/w"."""
    held, names = slots_of(method, params, state), _addresses(params)
    columns = {"params": leaves(params)}
    columns |= {f"state.{slot}": column for slot, column in zip(method.slots, held, strict=True)}
    found = {
        root + name: array
        for root, column in columns.items()
        for name, array in zip(names, column, strict=True)
    }
    for name, array in found.items():
        if len(name) > 2**16 - 5:  # with its ending, what a zip can hold
            raise ValueError(f"{name[:40]}...: a name of {len(name)} characters is too long.")
        check_leaf(name, array)
        of(array)  # refuses what is neither NumPy's nor CuPy's
    return found


# %% chapters/checkpoints.ipynb#checkpoints-bits
def _bits(array: Array) -> Array:
    """The array under a dtype that NumPy can name; bfloat16 goes as 16-bit integers."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def _stored(array: Array) -> np.dtype[Any]:
    """The dtype in the file: little-endian on every machine."""
    dtype: np.dtype[Any] = np.dtype(_bits(array).dtype).newbyteorder("<")
    return dtype


def _bytes_of(array: Array) -> Any:
    """The numbers of an array in C order. From a GPU they come to the host first."""
    host = np.asarray(to(_bits(array), "numpy"), dtype=_stored(array), order="C")
    return host.ravel().view(np.uint8)


def _npy(array: Array) -> bytes:
    """What comes before the numbers in an .npy file, as NumPy's format 1.0 has it."""
    text = f"{{'descr': '{_stored(array).str}', 'fortran_order': False, 'shape': {array.shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"  # the numbers begin at a multiple of 64
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("ascii")


def _kind(array: Array) -> list[Any]:
    """Dtype and shape for the header. The widest float is not the same on all machines."""
    dtype = array.dtype
    wide = f" of {np.finfo(dtype).nmant} bits" if dtype.itemsize > 8 else ""
    return [dtype.name + wide, list(array.shape)]


# %% chapters/checkpoints.ipynb#checkpoints-json
def _plain(value: Any, where: str) -> Any:
    """A value as JSON that comes back exactly; NaN and infinity, which JSON lacks, go as bits."""
    if type(value) is float and not math.isfinite(value):
        return {"float64": struct.pack(">d", value).hex()}
    if value is None or type(value) in (str, int, float, bool):
        return value
    if type(value) is list:
        return [_plain(each, f"{where}[{i}]") for i, each in enumerate(value)]
    if type(value) is dict and all(type(k) is str for k in value) and value.keys() != {"float64"}:
        return {key: _plain(each, f"{where}[{key!r}]") for key, each in value.items()}
    raise TypeError(
        f"{where}: expected str, int, float, bool, None, or a list or dict of them (keys are str, and "
        f"not 'float64' alone), got {reprlib.repr(value)}, a {type(value).__name__}. tolist() makes "
        "plain values of arrays and NumPy's numbers. Nothing was written."
    )


def _parsed(text: bytes) -> Any:
    """What `_plain` made; ValueError for what it never makes: NaN, a name that stands twice."""

    def known(pairs: list[tuple[str, Any]]) -> Any:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice in the header")
        if found.keys() == {"float64"}:
            (number,) = struct.unpack(">d", bytes.fromhex(found["float64"]))
            return number
        return found

    def refused(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text.decode("ascii"), object_pairs_hook=known, parse_constant=refused)


# %% chapters/checkpoints.ipynb#checkpoints-method
def _named(method: Optimizer) -> dict[str, Any]:
    """The class of a method, of the one inside, and the words among its fields."""
    words = {name: getattr(method, name) for name in method.no_numbers}
    inside = {k: _named(v) for k, v in words.items() if isinstance(v, Optimizer)}
    plain = {k: v for k, v in words.items() if isinstance(v, (str, bool, int))}
    return {"class": type(method).__name__, **plain, **inside}


def _settings(method: Optimizer, params: Tree, t: int) -> dict[str, dict[str, float]]:
    """The hyper-parameters of each leaf as numbers: a schedule by its value at the last step."""
    thetas, known = leaves(params), {}
    parts = method.parts(paths(params), thetas)
    for part in parts:
        if id(part) not in known:
            known[id(part)] = {k: v for k, v in part.hyper(max(t, 1)).items() if k != "t"}
    names = _addresses(params, "params")
    return {name: known[id(part)] for name, part in zip(names, parts, strict=True)}


# %% chapters/checkpoints.ipynb#checkpoints-numbers-check
def _check_numbers(state: State) -> None:
    """The step is a count, and scalars are Python's numbers, which come back as they are."""
    if type(state.t) is not int or state.t < 0:
        raise TypeError(f"state.t: expected an int of at least 0, got {state.t!r}.")
    for name, number in state.scalars.items():
        if type(name) is not str or type(number) not in (int, float):
            raise TypeError(
                f"state.scalars, {name!r}: expected an int or a float, got {type(number).__name__}. "
                "Make it one with float(...). Nothing was written."
            )


# %% chapters/checkpoints.ipynb#checkpoints-header
_FORMAT, _VERSION = "adam_tutorial checkpoint", 1
_HEADER, _HEADER_LIMIT = "checkpoint.json", 2**24  # bytes


def _header(
    method: Optimizer, params: Tree, state: State, members: dict[str, Array], extras: dict[str, Any]
) -> bytes:
    """The page of JSON that says what the arrays are."""
    _check_numbers(state)
    settings = list(_settings(method, params, state.t).values())
    different = [each for i, each in enumerate(settings) if settings.index(each) == i]
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "t": state.t,
        "scalars": state.scalars,
        "method": _named(method),
        "settings": different,
        "settings of": [different.index(each) for each in settings],
        "arrays": [[name, *_kind(array)] for name, array in members.items()],
        "extras": extras,
    }
    page = json.dumps(_plain(header, "checkpoint")).encode("ascii")
    if len(page) > _HEADER_LIMIT:
        raise ValueError(
            f"the header has {len(page)} bytes, and at most {_HEADER_LIMIT} bytes are read. Keep "
            "what is large in arrays of params. Nothing was written."
        )
    return page


# %% chapters/checkpoints.ipynb#checkpoints-whole
def _written_whole(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file beside its name, see it on the disk, and only then give it the name."""
    target = Path(os.path.realpath(path))  # a link stays a link
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: its folder does not exist. Make the folder first.")
    if target.exists() and not target.is_file():
        raise IsADirectoryError(f"{path}: expected the name of a file, and this is none.")
    unfinished = target.parent / f"unfinished-checkpoint-{secrets.token_hex(8)}"
    try:
        with open(unfinished, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if target.exists() and target.stat().st_mode != unfinished.stat().st_mode:
            shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        error.add_note(f"{path} was not written, and what it held before is still there.")
        raise
    with contextlib.suppress(OSError):  # the name is given; not every system lets one wait for it
        _see_on_disk(target.parent)


def _see_on_disk(folder: Path) -> None:
    """Wait until the disk holds the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# %% chapters/checkpoints.ipynb#checkpoints-arguments
def _check_arguments(method: Any, extras: Any) -> None:
    if not isinstance(method, Optimizer):
        raise TypeError(
            f"method: expected an optimizer, got {type(method).__name__}. The arguments are (path, "
            "method, params, state). Nothing was written."
        )
    if not isinstance(extras, dict | None):
        raise TypeError(
            f"extras: expected a dict such as {{'epoch': 1}}, got {type(extras).__name__}. Nothing "
            "was written."
        )


# %% chapters/checkpoints.ipynb#checkpoints-save
def save(
    path: str | os.PathLike[str],
    method: Optimizer,
    params: Tree,
    state: State,
    extras: dict[str, Any] | None = None,
) -> None:
    """Write parameters and state to one file, from which `load` goes on to the same bits.

    `extras` is for what else the run needs: a dict of JSON values, such as the epoch, or the
    `bit_generator.state` of NumPy's generators. `np.load` opens the file. Whatever happens in
    between, `path` holds the old file or the new one. TypeError, ValueError and OSError say what
    could not be written.
    """
    _check_arguments(method, extras)
    members = _members(method, params, state)
    header = _header(method, params, state, members, {} if extras is None else extras)

    def write(file: IO[bytes]) -> None:
        # stored, not compressed: compressing floats takes time for little
        with zipfile.ZipFile(file, "w") as archive:
            _add(archive, _HEADER, header)
            for name, array in members.items():
                _add(archive, f"{name}.npy", _npy(array), _bytes_of(array))

    _written_whole(Path(path), write)


def _add(archive: zipfile.ZipFile, name: str, *parts: Any) -> None:
    """One member, dated 1980 like every other, so that equal runs make equal files."""
    info = zipfile.ZipInfo(name)
    info.file_size = sum(len(part) for part in parts)  # beyond 2 GiB it needs the larger form
    with archive.open(info, "w") as member:
        for part in parts:
            member.write(part)


# %% chapters/checkpoints.ipynb#checkpoints-errors
def _refused(path: Path, what: str, cure: str) -> CheckpointError:
    return CheckpointError(f"{path}: {what}. {cure}. Nothing was changed.")


@contextlib.contextmanager
def _understood(path: Path) -> Iterator[None]:
    """What goes wrong in bytes that others wrote can be anything, and means one thing."""
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:
        what = f"this is no whole checkpoint ({type(error).__name__}: {error})"
        raise _refused(
            path, what, "It was cut off, damaged or made otherwise: take an older one"
        ) from error


def _few(names: list[str]) -> str:
    """At most three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


# %% chapters/checkpoints.ipynb#checkpoints-open
def _opened(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    """The header, of this format and version, and an archive of plain members, as it says."""
    infos = archive.infolist()
    if not infos or infos[0].filename != _HEADER or infos[0].file_size > _HEADER_LIMIT:
        raise _refused(path, f"this zip does not begin with a {_HEADER}", "Look for another file")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise _refused(
                path, f"{info.filename} is compressed", "Look for the file that was saved"
            )
    header = _parsed(archive.read(infos[0]))
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise _refused(path, "the header is not that of a checkpoint", "Look for another file")
    if header["version"] != _VERSION:
        what = f"this is version {header['version']} of the format, and version {_VERSION} is read here"
        raise _refused(path, what, "Upgrade adam_tutorial")
    names = [_HEADER, *(f"{name}.npy" for name, *_ in header["arrays"])]
    if [info.filename for info in infos] != names or len(set(names)) < len(names):
        raise _refused(path, "its members are not those that the header names", "Take an older one")
    if type(header["t"]) is not int or header["t"] < 0 or not isinstance(header["extras"], dict):
        raise ValueError("the header has no step or no extras")
    if any(type(number) not in (int, float) for number in header["scalars"].values()):
        raise ValueError("the header has scalars that are no numbers")
    return header


# %% chapters/checkpoints.ipynb#checkpoints-compare
def _compare(
    path: Path, header: dict[str, Any], method: Optimizer, members: dict[str, Array]
) -> None:
    """The method is the one that saved, and every array has its name, dtype and shape."""
    ours = _named(method)
    if header["method"] != ours:
        what = f"the file was saved with {_shown(header['method'])}, and here is {_shown(ours)}"
        raise _refused(path, what, "Load with the method that saved, then go on with any other")
    known = {name: kind for name, *kind in header["arrays"]}
    missing = [name for name in members if name not in known]
    strange = [name for name in known if name not in members]
    if missing or strange:
        found = {"the file lacks": missing, "only the file has": strange}
        what = "; ".join(f"{verb} {_few(names)}" for verb, names in found.items() if names)
        raise _refused(path, what, "Build the params that were saved, with the same keys")
    for name, array in members.items():
        if known[name] != _kind(array):
            (dtype, shape), here = known[name], f"{_kind(array)[0]} of shape {array.shape}"
            what = f"{name} is {dtype} of shape {tuple(shape)} in the file, and {here} here"
            raise _refused(path, what, "Build the params that were saved")


def _shown(named: dict[str, Any]) -> str:
    """A method as one writes it: Guarded(Adam, nonfinite='skip')."""
    inside = [_shown(v) for v in named.values() if isinstance(v, dict)]
    words = [f"{k}={v!r}" for k, v in named.items() if not isinstance(v, dict) and k != "class"]
    return (
        f"{named['class']}({', '.join(inside + words)})" if inside + words else str(named["class"])
    )


# %% chapters/checkpoints.ipynb#checkpoints-compare-settings
def _compare_settings(
    path: Path, header: dict[str, Any], settings: dict[str, dict[str, float]]
) -> None:
    """Each leaf had the hyper-parameters that it has here."""
    order = [name for name, *_ in header["arrays"] if name in settings]
    saved = dict(zip(order, header["settings of"], strict=True))
    for name, ours in settings.items():
        theirs = header["settings"][saved[name]]
        for key in {**ours, **theirs}:
            if ours.get(key) != theirs.get(key):
                what = f"{key} of {name} was {theirs.get(key)} at step {header['t']}, and is {ours.get(key)} here"
                cure = "Load with the method that saved, then go on with the value that you want"
                raise _refused(path, what, cure)


# %% chapters/checkpoints.ipynb#checkpoints-read
def _numbers(archive: zipfile.ZipFile, name: str, array: Array) -> Array:
    """The numbers of one array, on the host, of the size that the array here has."""
    info, start = archive.getinfo(f"{name}.npy"), _npy(array)
    dtype = _stored(array)
    if info.file_size != len(start) + array.size * dtype.itemsize:
        raise ValueError(f"{name} has {info.file_size} bytes")
    data = archive.read(info)  # and its CRC is compared
    if not data.startswith(start):
        raise ValueError(f"{name} does not begin as it must")
    return np.frombuffer(data, dtype, offset=len(start)).reshape(array.shape)


def _place(array: Array) -> Any:
    """Where copies for this array are made: on its own GPU."""
    return contextlib.nullcontext() if of(array) == "numpy" else array.device


def _check_targets(members: dict[str, Array]) -> None:
    for name, array in members.items():
        if not getattr(array.flags, "writeable", True):
            raise ValueError(
                f"{name}: the array is read-only, and load writes in place. Pass a copy. Nothing was "
                "changed."
            )


# %% chapters/checkpoints.ipynb#checkpoints-load
def load(
    path: str | os.PathLike[str], method: Optimizer, params: Tree, state: State
) -> dict[str, Any]:
    """Write what `save` stored into these parameters and this state, in place; return the extras.

    Build the run as at its start: params of the same names, dtypes and shapes, on the CPU or on a
    GPU, `state = method.init(params)` and the same method. Schedules are functions, which no file
    can hold; their values at the last step are compared. Raises CheckpointError, in a sentence,
    where the file is damaged or of another run. All of it is read before anything is written, so
    there must be room for the numbers twice.
    """
    path, members = Path(path), _members(method, params, state)
    _check_targets(members)
    with open(path, "rb") as file, _understood(path), zipfile.ZipFile(file) as archive:
        header = _opened(path, archive)
        _compare(path, header, method, members)
        _compare_settings(path, header, _settings(method, params, header["t"]))
        read = {name: _numbers(archive, name, array) for name, array in members.items()}
    for name, array in members.items():
        with _place(array):
            read[name] = asarray(np.asarray(read[name], _bits(array).dtype), of(array))
    for name, array in members.items():
        with _place(array):
            _bits(array)[...] = read[name]
    state.t, state.scalars = header["t"], header["scalars"]
    extras: dict[str, Any] = header["extras"]
    return extras
