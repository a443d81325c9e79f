"""Measure validation: `python -m scripts.bench_validation`, or `make bench-validation`.

Each package is checked by `python -m airlock check`, which has one thread, in a process of its own, once to warm up and
five times; wall time, CPU time and the highest resident memory of the process are what the kernel says of it. Prints a
table, writes build/bench-validation.json, and ends with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.bench.measure import Taken, median_s, take

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "bench-validation.json"
RUNS = 5
MAX_MB = 150


@dataclass(frozen=True, kw_only=True)
class Case:
    """One package and what it may cost.

    Attributes:
        what: In words.
        make: The function of `scripts.bench_inputs` that writes it.
        target_s: Seconds; None where it is measured only.
    """

    what: str
    make: str
    target_s: float | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one package cost.

    Attributes:
        what: In words.
        size_mb: Size of the package in MB.
        seconds: Median of the wall time.
        cpu_seconds: Median of user and system time.
        peak_mb: Highest resident memory of any run in MB.
        target_s: Seconds allowed; None where there is no target.
        ok: Whether every target is met.
    """

    what: str
    size_mb: float
    seconds: float
    cpu_seconds: float
    peak_mb: float
    target_s: float | None
    ok: bool


CASES = (
    Case(what="two small files: the start of the program", make="nothing_much", target_s=0.5),
    Case(what="100 KB config, 2,000 files, 20 MB of small objects", make="many_files", target_s=2),
    Case(what="1 GB forest, pickle", make="forest", target_s=5),
    Case(what="1 GB forest, joblib", make="joblib_forest", target_s=5),
    Case(what="1 GB of numbers, pickle", make="floats", target_s=5),
    Case(what="1 GB of storages, PyTorch archive", make="torch_archive", target_s=5),
    Case(what="500 MB forest, joblib with zlib", make="compressed_forest", target_s=None),
    Case(what="100 MB of small objects, pickle", make="small_objects", target_s=None),
)


def check_once(package: Path, log: Path) -> Taken:
    """Check a package once.

    Raises:
        RunFailed: The package is refused; then nothing was measured.
    """
    # As installed: a program whose bytecode may not be kept is compiled again at each start.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPATH": str(ROOT / "plugins"), "AIRLOCK_INCLUDE_DIR": str(ROOT / "include")}
    argv = [sys.executable, "-m", "airlock", "check", "--format", "json", str(package)]
    return take(argv, env=environment, cwd=ROOT, log=log)


def run(case: Case, runs: int) -> Result:
    """Write a package and check it several times."""
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as made:
        folder, log = Path(made) / "package", Path(made) / "check.log"
        folder.mkdir()
        # Linux counts the memory of the process that starts a child as the child's own: this one must stay small.
        subprocess.run([sys.executable, "-m", "scripts.bench_inputs", case.make, str(folder)], cwd=ROOT, check=True)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        check_once(folder, log)
        measured = [check_once(folder, log) for _ in range(runs)]
    seconds = median_s(measured)
    peak = max(each.peak_bytes for each in measured) / 1e6
    return Result(
        what=case.what,
        size_mb=round(size / 1e6, 1),
        seconds=round(seconds, 2),
        cpu_seconds=round(statistics.median(each.cpu_seconds for each in measured), 2),
        peak_mb=round(peak, 1),
        target_s=case.target_s,
        ok=case.target_s is None or (seconds < case.target_s and peak < MAX_MB),
    )


def table(results: list[Result]) -> str:
    """The results for people."""
    lines = [f"{'package':<52}{'MB':>8}{'s':>8}{'CPU s':>8}{'peak MB':>9}  target"]
    for each in results:
        target = f"{each.target_s:g} s, {MAX_MB} MB: {'ok' if each.ok else 'MISSED'}" if each.target_s else "none"
        figures = f"{each.size_mb:>8.0f}{each.seconds:>8.2f}{each.cpu_seconds:>8.2f}{each.peak_mb:>9.0f}"
        lines.append(f"{each.what:<52}{figures}  {target}")
    return "\n".join(lines)


def yardstick_s() -> float:
    """Seconds of ten million additions in plain Python, the median of five: the measure of this machine."""
    program = "import timeit; print(timeit.timeit('s += i', 's = 0; i = 1', number=10_000_000))"
    times = [
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
        for _ in range(5)
    ]
    return round(statistics.median(times), 2)


def machine() -> dict[str, str | int | float]:
    """What was measured on."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = named[0] if named else ""
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "system": platform.system(),
        "ten_million_additions_s": yardstick_s(),
    }


def main() -> int:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs of each package (default {RUNS})")
    parser.add_argument("--only", default="", help="only packages whose name contains this")
    chosen = parser.parse_args()
    results = []
    for case in CASES:
        if chosen.only in case.what:
            results.append(run(case, chosen.runs))
            print(f"{case.what}: {results[-1].seconds} s", file=sys.stderr, flush=True)
    measured_on = machine()
    print(table(results))
    print(f"Ten million additions in Python take {measured_on['ten_million_additions_s']} s on this machine.")
    RESULTS.parent.mkdir(exist_ok=True)
    report = {"machine": measured_on, "runs": chosen.runs, "results": [asdict(each) for each in results]}
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(each.ok for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
