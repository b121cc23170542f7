"""What `from adam_tutorial import Adam` costs on top of NumPy's own import.

Each measurement is a fresh interpreter, timed from inside, so that its start does not count. The
two programs alternate, so that a busy moment of the machine meets both, and medians are shown.

    make bench        or: python benchmarks/import_time.py [--runs 40]
"""

import argparse
import statistics
import subprocess
import sys

PROGRAM = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
NUMPY, BOTH = "import numpy", "from adam_tutorial import Adam"


def milliseconds(statement: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    return 1e3 * float(subprocess.run(command, check=True, capture_output=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the import of the package.")
    parser.add_argument("--runs", type=int, default=40)
    runs = parser.parse_args().runs
    for statement in (NUMPY, BOTH):  # once for the disk and the byte code
        milliseconds(statement)
    pairs = [(milliseconds(NUMPY), milliseconds(BOTH)) for _ in range(runs)]
    numpy, both = (statistics.median(times) for times in zip(*pairs, strict=True))
    own = statistics.median(b - a for a, b in pairs)
    print(f"medians of {runs} interleaved runs")
    print(f"{NUMPY:<34}{numpy:7.1f} ms")
    print(f"{BOTH:<34}{both:7.1f} ms")
    print(f"{'the package itself':<34}{own:7.1f} ms")


if __name__ == "__main__":
    main()
