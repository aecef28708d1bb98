"""Tables of who may come in: local accounts, who is signed in, and tries that failed.

No column is encrypted: what would open anything is there as a hash only.
"""

from datetime import datetime

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field, SQLModel

from sync_engine.store.values import Instant


def _instant(*, nullable: bool = False, index: bool = False) -> Column[datetime]:
    return Column(Instant(timezone=True), nullable=nullable, index=index)


def _digest() -> Column[bytes]:
    return Column(LargeBinary, primary_key=True)


class Account(SQLModel, table=True):
    """A local account; what it may do says the `[[operator]]` of that name. A hash, no password."""

    __tablename__ = "account"

    name: str = Field(primary_key=True)
    password_hash: str
    created_at: datetime = Field(sa_column=_instant())
    changed_at: datetime = Field(sa_column=_instant())
    disabled_at: datetime | None = Field(default=None, sa_column=_instant(nullable=True))


class WebSession(SQLModel, table=True):
    """Somebody who is signed in; `digest` is that of the token in his cookie, which is not kept.

    `via` is `local` or `oidc`.
    """

    __tablename__ = "web_session"

    digest: bytes = Field(sa_column=_digest())
    operator: str = Field(index=True)
    via: str
    created_at: datetime = Field(sa_column=_instant())
    seen_at: datetime = Field(sa_column=_instant())
    expires_at: datetime = Field(sa_column=_instant())


class SignInAttempt(SQLModel, table=True):
    """Failed sign-ins of one account or address, which `digest` tells by a key; neither is kept."""

    __tablename__ = "sign_in_attempt"

    digest: bytes = Field(sa_column=_digest())
    failures: int
    last_at: datetime = Field(sa_column=_instant(index=True))
    free_at: datetime = Field(sa_column=_instant())
