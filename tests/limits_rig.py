"""The stores that servers keep limits in together, each a server of a test's own. Where one is absent its tests are skipped by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pytest

from postgres_rig import Postgres, needs_postgres, postgres_server
from valkey_rig import needs, store_server

KINDS = [*(pytest.param(kind, marks=mark) for kind, mark in needs.items()), pytest.param("postgres", marks=needs_postgres)]


class LimitsStore(Protocol):
    """A store that can be stopped, killed and started again, empty."""

    url: str
    many: int  # calls of a random trial, by how long a decision takes

    def start(self) -> None:
        """Start it and wait until it answers."""
        ...

    def empty(self) -> None:
        """Let it forget everything."""
        ...

    def used(self, record: str) -> tuple[int, int]:
        """Return how many calls and tokens it counts of a record in a minute, or has counted and not looked at since."""
        ...

    def pause(self) -> None:
        """Let it accept and say nothing, as behind a cut network."""
        ...

    def go_on(self) -> None:
        """Let it speak again."""
        ...

    def kill(self) -> None:
        """End it at once, if it runs; what it had is gone."""
        ...


class PostgresStore:
    """A PostgreSQL server with a database of nothing but limits."""

    many = 500

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self.url = server.fresh()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._server.start()

    def empty(self) -> None:
        """Let it forget everything."""
        emptied = ", ".join(f"aisa_limits.{name}" for name in ("used", "line", "leases", "turns", "processes"))
        none = "undefined_table OR invalid_schema_name"  # before the first that uses it
        self._server.sql(self.url, f"DO $$ BEGIN TRUNCATE {emptied}; EXCEPTION WHEN {none} THEN NULL; END $$")

    def used(self, record: str) -> tuple[int, int]:
        """Return how many calls and tokens it counts of a record."""
        kinds = ("calls", "tokens")
        sums = ", ".join(f"sum(amount) FILTER (WHERE kind = '{kind}')" for kind in kinds)
        found = self._server.sql(self.url, f"SELECT {sums} FROM aisa_limits.used WHERE record = '{record}'")
        calls, tokens = (int(word or 0) for word in found.strip().split("|"))
        return calls, tokens

    def pause(self) -> None:
        """Let it accept and say nothing."""
        self._server.pause()

    def go_on(self) -> None:
        """Let it speak again."""
        self._server.go_on()

    def kill(self) -> None:
        """End it at once, if it runs; tables that are not logged are empty after that."""
        self._server.kill()


@contextmanager
def limits_store(kind: str) -> Iterator[LimitsStore]:
    """A server of a kind for a while."""
    if kind == "postgres":
        with postgres_server() as postgres:
            yield PostgresStore(postgres)
    else:
        with store_server(kind=kind) as server:
            yield server
