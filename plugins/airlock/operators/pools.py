"""Airflow's pools for the test tasks: how many tests use a device at a time.

Airflow schedules no task whose pool is missing, and a task cannot make one. So they are used where `[airlock]
device_pools` says that they are there. Read when the DAG file is parsed: nothing but the configuration is asked.
"""

from __future__ import annotations

from airflow.configuration import conf

DEFAULT_POOL = "default_pool"


def pool_of(device: str) -> str:
    """The pool of a device's test task."""
    return f"airlock_{device}" if conf.getboolean("airlock", "device_pools", fallback=False) else DEFAULT_POOL
