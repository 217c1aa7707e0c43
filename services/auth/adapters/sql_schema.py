"""The tables of accounts, for SQLite and PostgreSQL alike. Times are Unix ms; ids are ULIDs or, where a person
was known before accounts were switched on, their address. Alembic's migrations make the same (a test compares).
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

# Names for every constraint, so that migrations can change them on both engines.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = String(255)

accounts = Table(
    "accounts",
    metadata,
    Column("sub", ID, primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("verified_at", BigInteger),
    Column("blocked_at", BigInteger),
    Column("password_hash", String(1024), nullable=False, default=""),
)

# Passwords that wait for the proof of their address.
registrations = Table(
    "registrations",
    metadata,
    Column("login_id", String(26), primary_key=True),
    Column("sub", ForeignKey("accounts.sub", ondelete="CASCADE"), nullable=False, index=True),
    Column("password_hash", String(1024), nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# What an operator granted, beside any organisation.
installation_roles = Table(
    "installation_roles",
    metadata,
    Column("sub", ForeignKey("accounts.sub", ondelete="CASCADE"), primary_key=True),
    Column("role", String(64), primary_key=True),
)

# A provider's login: (iss, subject) is who it is, the address only what it was told.
identities = Table(
    "identities",
    metadata,
    Column("iss", ID, primary_key=True),
    Column("subject", ID, primary_key=True),
    Column("sub", ForeignKey("accounts.sub", ondelete="CASCADE"), nullable=False, index=True),
    Column("provider", String(64), nullable=False),
    Column("email", String(254), nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
)

organisations = Table(
    "organisations",
    metadata,
    Column("org", String(26), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

members = Table(
    "members",
    metadata,
    Column("org", ForeignKey("organisations.org", ondelete="CASCADE"), primary_key=True),
    Column("sub", ForeignKey("accounts.sub", ondelete="CASCADE"), primary_key=True, index=True),
    Column("joined_at", BigInteger, nullable=False),
)

member_roles = Table(
    "member_roles",
    metadata,
    Column("org", String(26), primary_key=True),
    Column("sub", ID, primary_key=True),
    Column("role", String(64), primary_key=True),
)

# *roles* is a space-separated list. An invitation that was used or withdrawn is deleted.
invitations = Table(
    "invitations",
    metadata,
    Column("invitation", String(26), primary_key=True),
    Column("org", ForeignKey("organisations.org", ondelete="CASCADE"), nullable=False, index=True),
    Column("email", String(254), nullable=False),
    Column("roles", String(1024), nullable=False),
    Column("invited_by", ID, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

# What is still to be done, in the order of *number*: see services/auth/domain/outbox.py.
outbox = Table(
    "outbox",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("entry", String(26), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("subject", ID, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# The ledger of deletions. *email* goes when everybody has answered; *email_hash* (keyed) and *sub* stay,
# for ever, so that neither is given to somebody else by mistake.
deletions = Table(
    "deletions",
    metadata,
    Column("deletion", String(26), primary_key=True),
    Column("sub", ID, nullable=False, unique=True),
    Column("email", String(254), nullable=False, default=""),
    Column("email_hash", String(64), nullable=False, index=True),
    Column("requested_at", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("completed_at", BigInteger),
)

deletion_answers = Table(
    "deletion_answers",
    metadata,
    Column("deletion", ForeignKey("deletions.deletion", ondelete="CASCADE"), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("answered_at", BigInteger),
    Column("asked", Integer, nullable=False, default=0),
    Column("asked_at", BigInteger),
    Column("note", ID, nullable=False, default=""),
)

Index("ix_deletions_open", deletions.c.completed_at, deletions.c.deletion)
