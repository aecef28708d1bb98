"""How psycopg is taught the forms of values.py, so that both databases give equal rows."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.adapt import Buffer, Dumper, Loader

from sync_engine.store.values import instant_text


class _Dump(Dumper):
    """Dumped as text without a type: PostgreSQL takes the type of the column."""

    oid = 0

    def dump(self, obj: Any) -> bytes:
        return str(obj).encode()


class _DumpBool(_Dump):
    def dump(self, obj: Any) -> bytes:
        return b"1" if obj else b"0"


class _DumpDate(_Dump):
    def dump(self, obj: Any) -> bytes:
        return obj.isoformat().encode()  # type: ignore[no-any-return] # a date: registered for it


class _DumpInstant(_Dump):
    def dump(self, obj: Any) -> bytes:
        return instant_text(obj).encode()


class _DumpUuid(_Dump):
    def dump(self, obj: Any) -> bytes:
        return obj.hex.encode()  # type: ignore[no-any-return] # a UUID: registered for it


class _LoadText(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _LoadBool(Loader):
    def load(self, data: Buffer) -> int:
        return 1 if data == b"t" else 0


class _LoadInstant(Loader):
    """`2026-08-01 09:30:00.5+00` → `2026-08-01 09:30:00.500000`; the session's zone is UTC."""

    def load(self, data: Buffer) -> str:
        text = bytes(data).decode().removesuffix("+00")
        whole, _, part = text.partition(".")
        return f"{whole}.{part:0<6}"


class _LoadNumber(Loader):
    """`numeric`, as SUM and AVG of bigint columns are: whole where it is written whole."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return float(text) if "." in text or not text.lstrip("-").isdigit() else int(text)


class _LoadUuid(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode().replace("-", "")


def teach_postgres(connection: Connection[Any]) -> None:
    """Register both forms with one connection; its session must have TimeZone UTC."""
    adapters = connection.adapters
    for kind, dumper in (
        (bool, _DumpBool),
        (date, _DumpDate),
        (datetime, _DumpInstant),
        (UUID, _DumpUuid),
    ):
        adapters.register_dumper(kind, dumper)
    for name, loader in (
        ("bool", _LoadBool),
        ("date", _LoadText),
        ("time", _LoadText),
        ("timestamp", _LoadInstant),
        ("timestamptz", _LoadInstant),
        ("numeric", _LoadNumber),
        ("json", _LoadText),
        ("jsonb", _LoadText),
        ("uuid", _LoadUuid),
    ):
        adapters.register_loader(name, loader)
