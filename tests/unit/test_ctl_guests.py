"""A service's credential, its row, and NATS's accounts: made, completed and taken away."""

import stat
from pathlib import Path

import pytest

from ctl.guests import GuestError, Guests
from shared.revokers import RevokersFile, load_revokers
from shared.secrets import load_seed, new_seed, public_key, write_private


@pytest.fixture
def guests(tmp_path: Path) -> Guests:
    """An installation with the usual credentials."""
    for name in ("auth", "edge-1", "operator"):
        write_private(tmp_path / "secrets" / "nats" / f"{name}.seed", new_seed())
    return Guests(tmp_path / "secrets", tmp_path / "revokers.yaml")


def accounts(guests: Guests) -> str:
    """What NATS reads."""
    return (guests.secrets / "nats" / "accounts.conf").read_text()


def test_a_service_gets_a_seed_a_row_and_its_place_in_the_accounts(guests: Guests) -> None:
    """The seed is nobody else's to read; what is rendered is its public half."""
    guest = guests.add("shop", ["token", "session"])

    assert guest.credential == "service-shop"
    assert stat.S_IMODE(guest.seed.stat().st_mode) == 0o600
    assert load_revokers(guests.table).scopes == {"shop": frozenset({"session", "token"})}
    seed = load_seed(guests.secrets, "service-shop")
    assert f"nkey: {public_key(seed)}" in accounts(guests)
    assert "token.revoked.by.shop" in accounts(guests)
    assert seed not in accounts(guests) + guests.table.read_text()


def test_what_people_wrote_into_the_table_stays(guests: Guests) -> None:
    """Comments, blank lines and other rows; only the one row comes and goes."""
    text = "# ours\nhr:\n  - subject  # the HR system\n\nweb: [token]\n"
    guests.table.write_text(text)

    guests.add("shop", [])
    assert guests.table.read_text() == text + "shop: []\n"
    guests.remove("shop")
    assert guests.table.read_text() == text
    guests.remove("hr")
    assert guests.table.read_text() == "# ours\n\nweb: [token]\n"


def test_a_worker_that_has_this_very_file_mounted_sees_each_change(
    guests: Guests, tmp_path: Path
) -> None:
    """A container's mount is the file, not its name: no worker has to start again."""
    guests.table.write_text("# ours\n")
    mounted = tmp_path / "mounted.yaml"
    mounted.hardlink_to(guests.table)
    worker = RevokersFile(mounted)

    guests.add("shop", ["session"])
    assert worker.allows("shop", "session")
    guests.remove("shop")
    assert not worker.allows("shop", "session")


def test_a_table_in_another_style_keeps_its_meaning(guests: Guests) -> None:
    """One line in braces: it is written anew, with the same rows."""
    guests.table.write_text("{web: [token], hr: [subject]}")
    guests.add("shop", ["session"])
    assert load_revokers(guests.table).scopes == {
        "web": frozenset({"token"}),
        "hr": frozenset({"subject"}),
        "shop": frozenset({"session"}),
    }


def test_removing_takes_the_right_the_seed_and_the_account(guests: Guests) -> None:
    """A credential that was copied is worth nothing once NATS has read its accounts again."""
    key = public_key(load_seed(guests.secrets, guests.add("shop", ["token"]).credential))
    guest = guests.remove("shop")

    assert not guest.seed.exists()
    assert key not in accounts(guests)
    assert guests.known() == []
    with pytest.raises(GuestError, match="no such service"):
        guests.remove("shop")


def test_what_was_cut_short_is_completed_and_what_is_there_is_kept(guests: Guests) -> None:
    """A seed without a row, after a crash: the same seed stays; a second add changes nothing."""
    write_private(guests.secrets / "nats" / "service-shop.seed", new_seed())
    seed = load_seed(guests.secrets, "service-shop")
    guests.add("shop", ["token"])
    assert load_seed(guests.secrets, "service-shop") == seed

    with pytest.raises(GuestError, match="is there already"):
        guests.add("shop", ["subject"])
    assert not load_revokers(guests.table).allows("shop", "subject")


@pytest.mark.parametrize(
    ("name", "scopes", "told"),
    [
        ("Shop", [], "begins with a lower-case letter"),
        ("../evil", [], "begins with a lower-case letter"),
        ("a.b", [], "begins with a lower-case letter"),
        ("shop", ["key"], "no service may revoke in scope 'key'"),
        ("shop", ["token", "service"], "no service may revoke in scope 'service'"),
    ],
)
def test_what_cannot_be_a_service_leaves_nothing_behind(
    guests: Guests, name: str, scopes: list[str], told: str
) -> None:
    """No seed, no row, no file."""
    before = sorted(guests.secrets.rglob("*"))
    with pytest.raises(GuestError, match=told):
        guests.add(name, scopes)
    assert sorted(guests.secrets.rglob("*")) == before
    assert not guests.table.exists()


def test_a_table_that_is_wrong_stops_before_anything_is_made(guests: Guests) -> None:
    """With the line and the cure."""
    guests.table.write_text("shop: [everything]")
    with pytest.raises(GuestError, match=r"revokers\.yaml:1: shop: no such scope"):
        guests.add("web", [])
    assert not (guests.secrets / "nats" / "service-web.seed").exists()


def test_without_an_installation_it_says_how_to_get_one(tmp_path: Path) -> None:
    """Nothing is made in a place that nobody uses."""
    with pytest.raises(GuestError, match="latchwire init"):
        Guests(tmp_path / "secrets", tmp_path / "revokers.yaml").add("shop", [])
    assert list(tmp_path.iterdir()) == []
