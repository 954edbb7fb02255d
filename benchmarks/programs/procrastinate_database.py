"""Makes or removes the database of the peer Procrastinate: `create` with its tables, or `drop`."""

from __future__ import annotations

import json
import os
import sys

import procrastinate
import psycopg

SERVER, DATABASE, NAME = (os.environ[f"BENCH_{name}"] for name in ("POSTGRES", "DATABASE", "QUEUE"))

if __name__ == "__main__":
    kind = json.load(sys.stdin)["kind"]
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{NAME}" WITH (FORCE)'.encode())
        if kind == "create":
            connection.execute(f'CREATE DATABASE "{NAME}"'.encode())
    if kind == "create":
        app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=DATABASE))
        with app.open():
            app.schema_manager.apply_schema()
    json.dump({}, sys.stdout)
