"""Key files: made once, kept, refused when others can read them or when they are too short."""

import re
from pathlib import Path

import pytest

from shared.secrets import (
    SecretsError,
    create_secrets,
    load_blocklist_key,
    load_signing_key,
    load_symmetric,
    signing_paths,
    write_private,
)


def test_keys_are_made_once_and_kept(secrets_dir: Path) -> None:
    """A second run changes nothing."""
    before = {p: p.read_bytes() for p in secrets_dir.rglob("*") if p.is_file()}

    create_secrets(secrets_dir, date="20301231", credentials=("auth", "edge-1"))

    assert {p: p.read_bytes() for p in secrets_dir.rglob("*") if p.is_file()} == before


def test_secret_files_are_the_owners_alone(secrets_dir: Path) -> None:
    """Every file but the public key sets has mode 0600."""
    modes = {p.name: p.stat().st_mode & 0o777 for p in secrets_dir.rglob("*") if p.is_file()}

    assert {name for name, mode in modes.items() if mode != 0o600} <= {
        "jwks.json",
        "operator.jwks.json",
    }


@pytest.mark.parametrize("name", ["blocklist.key"])
def test_a_key_that_others_can_read_is_refused(secrets_dir: Path, name: str) -> None:
    """The cure is in the message."""
    (secrets_dir / name).chmod(0o644)

    with pytest.raises(SecretsError, match="chmod 600"):
        load_blocklist_key(secrets_dir)


def test_a_short_key_is_refused(secrets_dir: Path) -> None:
    """Fewer than 256 bits is not a key."""
    write_private(secrets_dir / "link" / "20991231-x.key", "c2hvcnQ")

    with pytest.raises(SecretsError, match="256 bits"):
        load_symmetric(secrets_dir, "link")


def test_the_newest_key_is_the_one_in_use(secrets_dir: Path) -> None:
    """A kid begins with its date; older ones are still accepted."""
    write_private(secrets_dir / "link" / "20991231-x.key", "A" * 43)

    keys = load_symmetric(secrets_dir, "link")

    assert keys.current == "20991231-x"
    assert len(keys.by_kid) == 2
    assert "A" * 8 not in repr(keys)


def test_no_two_keys_share_a_name(secrets_dir: Path) -> None:
    """Revoking one must not be heard of another; each begins with its date, so that they sort."""
    kids = [path.stem for path in secrets_dir.rglob("*.key") if path.stem != "blocklist"]
    kids += [path.stem for path in signing_paths(secrets_dir)]

    assert len(kids) == len(set(kids)) == 4
    assert all(re.fullmatch(r"[0-9]{8}-(sig|link|refresh|csrf)-[0-9a-f]{6}", kid) for kid in kids)


def test_only_public_members_are_published(secrets_dir: Path) -> None:
    """jwks.json holds no part of a private key (RFC 7517)."""
    text = (secrets_dir / "jwks.json").read_text()
    private = load_signing_key(signing_paths(secrets_dir)[0]).private_numbers()

    assert '"d"' not in text
    assert str(private.d) not in text
