"""Whether a process of the stack is well, for Docker's health checks. Asking `airflow` itself would cost five seconds.

python health.py scheduler | dag_processor | triggerer | metadatabase    what Airflow reports of its parts
python health.py worker                                                  whether this host's worker answers
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request

API_SERVER = os.environ.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://localhost:8080/execution/")
TIMEOUT_S = 8.0


def part_is_well(name: str) -> bool:
    """Tells whether Airflow finds a part healthy: its heartbeat is young."""
    # Never by way of a proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = API_SERVER.removesuffix("/execution/") + "/api/v2/monitor/health"
    with opener.open(url, timeout=TIMEOUT_S) as answer:
        report = json.loads(answer.read())
    return bool(report[name]["status"] == "healthy")


def worker_answers() -> bool:
    """Tells whether the Celery worker of this container takes messages."""
    from celery import Celery

    command = os.environ["AIRFLOW__CELERY__BROKER_URL_CMD"].split()
    url = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    name = f"celery@{socket.gethostname()}"
    return bool(Celery(broker=url).control.ping(destination=[name], timeout=TIMEOUT_S))


if __name__ == "__main__":
    sys.exit(not (worker_answers() if sys.argv[1] == "worker" else part_is_well(sys.argv[1])))
