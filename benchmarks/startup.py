"""Start-up: what importing plateloop, asking for help and reading one picture cost before the first result.

Each is a fresh process, the best of five; memory is the process's peak resident set.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from record import save, show

RUNS = 5
# VmHWM is of the process itself; getrusage would count the parent's memory at the fork as well.
PEAK = """
import atexit, sys
def peak():
    with open("/proc/self/status") as lines:
        print("peak kB", next(line for line in lines if line.startswith("VmHWM")).split()[1], file=sys.stderr)
atexit.register(peak)
"""
COMMAND = "import sys; sys.argv = ['plateloop', *{}]; from plateloop.cli.main import main; main()"


def milliseconds(code: str) -> float:
    """Best wall-clock time of a few fresh ``python -c CODE``."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(done.returncode)
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def peak_mb(code: str) -> float:
    """Peak resident memory of ``python -c CODE``."""
    command = [sys.executable, "-c", PEAK + code]
    done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return int(done.stderr.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder of cards; the package's otherwise")
    args = parser.parse_args()
    weights = ["--weights", str(args.weights)] if args.weights else []
    with tempfile.TemporaryDirectory() as name:
        picture = Path(name) / "grey.png"
        cv2.imwrite(str(picture), np.full((1080, 1920, 3), 128, np.uint8))
        cases = {
            "python": "pass",
            "import plateloop": "import plateloop",
            "plateloop --help": COMMAND.format(["--help"]),
            "plateloop read, one grey 1080p picture": COMMAND.format(
                ["read", str(picture), "--json", *weights]
            ),
        }
        results = {case: (milliseconds(code), peak_mb(code)) for case, code in cases.items()}
    check = "import sys, plateloop; sys.exit('torch' in sys.modules)"
    torch = bool(subprocess.run([sys.executable, "-c", check], check=False).returncode)
    show("Start-up (best of five)", ("process", "ms", "peak MB"), [(c, *r) for c, r in results.items()])
    processes = {c: {"ms": round(ms, 1), "peak_mb": round(mb, 1)} for c, (ms, mb) in results.items()}
    path = save("startup", {"imports_torch": torch, "processes": processes})
    print(f"imports torch: {torch}; wrote {path}")


if __name__ == "__main__":
    main()
