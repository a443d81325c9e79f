"""Makes everything that the stack needs before it starts, and leaves what is there: run at every start.

Databases and their roles, Airflow's schema and Airlock's, the first user, Connections, pools, buckets, and the
registry's password file. In one process: each command of `airflow` would take five seconds to load.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import bcrypt
import boto3
import psycopg
from airflow.cli.cli_parser import get_parser
from botocore.config import Config
from psycopg import sql

import airlock.__main__

SECRETS = Path("/run/secrets")
POOLS = Path(__file__).parents[1] / "include" / "pools.json"
USER = "admin"
BUCKETS = ("models",)
REGISTRY_PASSWORDS = Path("/run/registry-auth/htpasswd")


def make_databases() -> None:
    """Makes a database for each role of the password file, owned by it, and gives the roles their passwords."""
    lines = (SECRETS / "pgpass_init").read_text(encoding="utf-8").splitlines()
    host, port = lines[0].split(":")[:2]
    passwords = {line.split(":")[3]: line.split(":")[4] for line in lines}
    with psycopg.connect(host=host, port=port, user="postgres", dbname="postgres", autocommit=True) as connection:
        for role, password in passwords.items():
            name = sql.Identifier(role)
            if role != "postgres" and not _exists(connection, "pg_roles", "rolname", role):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(password)))
            if not _exists(connection, "pg_database", "datname", role):
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
                # A role sees its own database only.
                connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(name))


def _exists(connection: psycopg.Connection, table: str, column: str, value: str) -> bool:
    query = sql.SQL("SELECT 1 FROM {} WHERE {} = %s").format(sql.Identifier(table), sql.Identifier(column))
    return connection.execute(query, [value]).fetchone() is not None


def airflow(*arguments: str) -> None:
    """Runs a command of `airflow` in this process."""
    chosen = get_parser().parse_args(arguments)
    chosen.func(chosen)


def make_airflow() -> None:
    """Makes Airflow's tables, the first user, Connections and pools; what a user changed stays as it is."""
    airflow("db", "migrate")
    password = (SECRETS / "admin_password").read_text(encoding="utf-8")
    person = ("--firstname", "Airlock", "--lastname", "Admin", "--email", "admin@localhost")
    airflow("users", "create", "--role", "Admin", "--username", USER, *person, "--password", password)
    airflow("connections", "import", str(SECRETS / "connections.json"))
    airflow("pools", "import", str(POOLS))


def make_buckets() -> None:
    """Makes the buckets in the object storage that the Connection of the stack opens."""
    connection = json.loads((SECRETS / "connections.json").read_text(encoding="utf-8"))["airlock_s3"]
    options = connection["extra"]
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        region_name=options["region_name"],
        aws_access_key_id=connection["login"],
        aws_secret_access_key=connection["password"],
        config=Config(**options["config_kwargs"]),
    )
    for bucket in BUCKETS:
        try:
            client.create_bucket(Bucket=bucket)
        except client.exceptions.BucketAlreadyOwnedByYou:
            print(f"bucket {bucket} is there")


def make_registry_passwords() -> None:
    """Writes the password file of the registry of container images, which takes bcrypt only."""
    password = (SECRETS / "registry_password").read_bytes()
    fresh = REGISTRY_PASSWORDS.with_suffix(".new")
    fresh.write_bytes(b"airlock:" + bcrypt.hashpw(password, bcrypt.gensalt()) + b"\n")
    # The registry runs as a user of its own.
    os.chmod(fresh, 0o644)
    fresh.replace(REGISTRY_PASSWORDS)


if __name__ == "__main__":
    make_databases()
    status = airlock.__main__.main(["registry", "upgrade"])
    if status:
        sys.exit(status)
    make_airflow()
    make_buckets()
    make_registry_passwords()
    print("the stack is initialised", flush=True)
