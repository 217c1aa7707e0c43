"""LATCHWIRE_ACCOUNTS_URL: two forms, no password in it, and errors that repeat nothing of it."""

import pytest

from shared.accounts_url import PostgreSQLStore, SQLiteStore, parse_accounts_url


@pytest.mark.parametrize(
    ("url", "store"),
    [
        ("sqlite:///data/accounts.db", SQLiteStore("data/accounts.db")),
        ("sqlite:////var/lib/a%20b.db", SQLiteStore("/var/lib/a b.db")),
        ("postgresql://u@db/name", PostgreSQLStore("db", 5432, "u", "name")),
        ("postgresql://u%40x@[::1]:6000/n", PostgreSQLStore("::1", 6000, "u@x", "n")),
        (
            "postgresql://u@db/n?sslmode=verify-full",
            PostgreSQLStore("db", 5432, "u", "n", "verify-full"),
        ),
    ],
)
def test_a_store_is_named_by_its_url(url: str, store: SQLiteStore | PostgreSQLStore) -> None:
    """Relative and absolute files; hosts, ports and names as anywhere."""
    assert parse_accounts_url(url) == store


@pytest.mark.parametrize(
    "url",
    [
        "",
        "canary",
        "sqlite://canary",
        "sqlite://",
        "sqlite:///",
        "sqlite:///canary/",
        "sqlite:///canary?mode=memory",
        "sqlite+aiosqlite:///canary",
        "mysql://canary@db/n",
        "postgresql+asyncpg://canary@db/n",
        "postgresql://db/n",
        "postgresql://canary@/n",
        "postgresql://canary@db",
        "postgresql://canary@db/",
        "postgresql://canary@db/n/m",
        "postgresql://canary@db:99999/n",
        "postgresql://canary@db:x/n",
        "postgresql://canary@db/n#x",
        "postgresql://u:canary@db/n",
        "postgresql://u:@db/canary",
        "postgresql://canary@db/n?sslmode=maybe",
        "postgresql://canary@db/n?sslmode=require&x=1",
        "postgresql://canary@db/n?options=-cx",
        "postgresql://canary@[db/n",
    ],
)
def test_any_other_url_is_refused_without_repeating_it(url: str) -> None:
    """It may hold a password, and the text goes to a log."""
    with pytest.raises(ValueError, match=r"must be|belongs into|only option") as refused:
        parse_accounts_url(url)

    assert "canary" not in str(refused.value)
