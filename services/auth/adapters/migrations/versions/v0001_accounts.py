"""The store as it was when accounts came: people, organisations, the outbox, the ledger of deletions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "accounts",
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("blocked_at", sa.BigInteger(), nullable=True),
        sa.Column("password_hash", sa.String(length=1024), nullable=False),
        sa.PrimaryKeyConstraint("sub", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
    )
    op.create_table(
        "deletions",
        sa.Column("deletion", sa.String(length=26), nullable=False),
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("email_hash", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("deletion", name=op.f("pk_deletions")),
        sa.UniqueConstraint("sub", name=op.f("uq_deletions_sub")),
    )
    op.create_index(op.f("ix_deletions_email_hash"), "deletions", ["email_hash"], unique=False)
    op.create_index("ix_deletions_open", "deletions", ["completed_at", "deletion"], unique=False)
    op.create_table(
        "member_roles",
        sa.Column("org", sa.String(length=26), nullable=False),
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("org", "sub", "role", name=op.f("pk_member_roles")),
    )
    op.create_table(
        "organisations",
        sa.Column("org", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org", name=op.f("pk_organisations")),
    )
    op.create_table(
        "outbox",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entry", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_outbox")),
        sa.UniqueConstraint("entry", name=op.f("uq_outbox_entry")),
    )
    op.create_table(
        "deletion_answers",
        sa.Column("deletion", sa.String(length=26), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["deletion"],
            ["deletions.deletion"],
            name=op.f("fk_deletion_answers_deletion"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("deletion", "service", name=op.f("pk_deletion_answers")),
    )
    op.create_table(
        "identities",
        sa.Column("iss", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sub"], ["accounts.sub"], name=op.f("fk_identities_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("iss", "subject", name=op.f("pk_identities")),
    )
    op.create_index(op.f("ix_identities_sub"), "identities", ["sub"], unique=False)
    op.create_table(
        "installation_roles",
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["sub"], ["accounts.sub"], name=op.f("fk_installation_roles_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sub", "role", name=op.f("pk_installation_roles")),
    )
    op.create_table(
        "invitations",
        sa.Column("invitation", sa.String(length=26), nullable=False),
        sa.Column("org", sa.String(length=26), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("roles", sa.String(length=1024), nullable=False),
        sa.Column("invited_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org"], ["organisations.org"], name=op.f("fk_invitations_org"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("invitation", name=op.f("pk_invitations")),
    )
    op.create_index(op.f("ix_invitations_org"), "invitations", ["org"], unique=False)
    op.create_table(
        "members",
        sa.Column("org", sa.String(length=26), nullable=False),
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org"], ["organisations.org"], name=op.f("fk_members_org"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sub"], ["accounts.sub"], name=op.f("fk_members_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org", "sub", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_sub"), "members", ["sub"], unique=False)
    op.create_table(
        "registrations",
        sa.Column("login_id", sa.String(length=26), nullable=False),
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("password_hash", sa.String(length=1024), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sub"], ["accounts.sub"], name=op.f("fk_registrations_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("login_id", name=op.f("pk_registrations")),
    )
    op.create_index(
        op.f("ix_registrations_expires_at"), "registrations", ["expires_at"], unique=False
    )
    op.create_index(op.f("ix_registrations_sub"), "registrations", ["sub"], unique=False)
