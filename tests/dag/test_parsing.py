"""The DAG files are read over and over: each in well under a second, without a heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.dag.conftest import path_env

FILES = sorted(path for folder in ("dags", "examples/dags") for path in (ROOT / folder).glob("*.py"))
MAX_CPU_S = 1.0
#: What only a running task may load. Airflow's own process that reads DAG files has SQLAlchemy already.
HEAVY = {
    "boto3", "botocore", "docker", "great_expectations", "kubernetes", "numpy", "obstore", "pandas", "psycopg", "scipy",
}  # fmt: skip

# Each file in a process of its own, forked after Airflow is loaded, as the DAG processor does it. Processor time and
# not the clock's: a busy machine says nothing about a file. Twice, because the first time may compile every module.
_READ = """
import json, os, runpy, sys, time
import airflow.sdk, airflow.dag_processing.dagbag
for path in sys.argv[1:] * 2:
    if os.fork() == 0:
        there, began = set(sys.modules), time.process_time()
        runpy.run_path(path)
        took = time.process_time() - began
        loaded = sorted({name.split(".")[0] for name in set(sys.modules) - there})
        print(json.dumps({"path": path, "cpu_s": took, "loaded": loaded}), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, path
"""


def read(*paths: Path) -> dict[str, dict[str, Any]]:
    """Path → its second reading."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _READ, *map(str, paths)],
        env=path_env(),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"path"')]
    assert len(found) == 2 * len(paths)
    return {each["path"]: each for each in found}


def test_dag_files_are_read_in_under_a_second_each_without_a_heavy_library(tmp_path: Path) -> None:
    # A file that does load one shows that the test would see it.
    planted = tmp_path / "planted.py"
    planted.write_text("import docker\n")
    found = read(*FILES, planted)
    assert "docker" in found.pop(str(planted))["loaded"]
    assert sorted(found) == [str(path) for path in FILES]
    assert {path: each["cpu_s"] for path, each in found.items() if each["cpu_s"] >= MAX_CPU_S} == {}
    assert {path: set(each["loaded"]) & HEAVY for path, each in found.items()} == {path: set() for path in found}
