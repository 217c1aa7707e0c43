"""A service token as text: enough of it is random, a scanner finds it, and chance makes none."""

import gzip
import re
from collections import Counter

import pytest

from shared.ids import SystemIds
from shared.messages import ServiceToken
from shared.service_tokens import (
    REGEX,
    TokenTable,
    claims_of,
    hash_service_token,
    is_service_token,
    make_service_token,
    read_tokens_body,
    tokens_body,
)
from tests.support.servers import ROOT
from tests.support.service_tokens import made_token
from tests.support.tokens import NOW_MS

IDS = SystemIds()
NAUGHTY = ROOT / "services/auth/adapters/common_passwords/passwords.txt.gz"


def test_the_shipped_regex_finds_every_one_of_ten_thousand_tokens() -> None:
    """Inside a line of a .env file, of JSON, of a URL and of Python, each with its checksum right."""
    found = re.compile(REGEX)
    for number in range(10_000):
        token = make_service_token(IDS.secret(), live=number % 2 == 0)
        line = (f"T={token}", f'{{"t":"{token}"}}', f"?a={token}&b", f"t='{token}',")[number % 4]
        assert found.findall(line) == [token]
        assert is_service_token(token.encode())


def test_the_shipped_regex_finds_nothing_in_what_is_no_token() -> None:
    """Nothing in ten thousand of the commonest passwords, nor in our own sources."""
    found = re.compile(REGEX)
    assert not found.findall(gzip.decompress(NAUGHTY.read_bytes()).decode("utf-8"))
    for path in sorted((ROOT / "services").rglob("*.py")):
        assert not found.findall(path.read_text("utf-8")), path


def test_chance_makes_no_token() -> None:
    """One changed character, anywhere, and the checksum is wrong; so is the other environment's prefix."""
    token = make_service_token(IDS.secret(), live=True)
    for at in range(len("lws_live_"), len(token)):
        other = "b" if token[at] == "a" else "a"
        assert not is_service_token(f"{token[:at]}{other}{token[at + 1 :]}".encode())
    assert not is_service_token(token.replace("live", "dev").encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lws_",
        "lws_live_",
        "lws_test_" + "a" * 36,
        "LWS_live_" + "a" * 36,
        "lws_live_" + "a" * 35,
        "lws_live_" + "a" * 37,
        "lws_live_" + "a" * 35 + "\n",
        "lws_live_" + "é" * 18,
    ],
)
def test_what_has_not_the_form_is_no_token(text: str) -> None:
    """Wrong prefix, length or alphabet."""
    assert not is_service_token(text.encode())


def test_every_character_of_the_random_part_is_used_about_equally() -> None:
    """No bias that would make guessing easier: each of 62 within a fifth of its share."""
    tokens = [make_service_token(IDS.secret(), live=True) for _ in range(3_000)]
    counted = Counter("".join(t.removeprefix("lws_live_")[:30] for t in tokens))
    share = 3_000 * 30 / 62
    assert len(counted) == 62
    assert all(abs(count - share) < share / 5 for count in counted.values())


def test_too_little_randomness_makes_no_token() -> None:
    """A source that answers with less than 256 bits is a mistake, not a weaker token."""
    with pytest.raises(ValueError, match="256 bits"):
        make_service_token("c2hvcnQ", live=True)


def test_what_is_kept_of_a_token_does_not_tell_it() -> None:
    """The row holds the hash and four characters of the checksum, nothing else of it."""
    made = made_token()
    kept = made.row.model_dump_json()
    assert made.text not in kept
    assert made.text.removeprefix("lws_dev_")[:30] not in kept
    assert hash_service_token(made.raw) in kept


def test_rows_survive_the_document_and_later_fields_do_no_harm() -> None:
    """What a later version writes is read by this one, without what it does not know."""
    rows = (made_token("bot").row, made_token("till", scopes=("orders.read",)).row)
    body = tokens_body(rows)
    assert read_tokens_body(body) == rows
    past = made_token("bot", revoked_at=NOW_MS).row
    assert read_tokens_body(tokens_body((past, *rows))) == (*rows, past)
    body["tokens"][0]["colour"] = "blue"
    assert read_tokens_body({**body, "more": 1}) == rows


def test_who_knows_nothing_of_revoked_rows_reads_none_of_them_as_living() -> None:
    """An edge of an earlier version goes by ``tokens`` alone: what was revoked is nobody's token there."""
    bot = made_token("bot").row
    past = bot.model_copy(update={"revoked_at": NOW_MS})
    assert tokens_body((past,))["tokens"] == []
    bound = bot.model_copy(update={"org": bot.id})
    assert tokens_body((bound,))["tokens"] == []
    assert read_tokens_body(tokens_body((past, bound, bot))) == (bot, bound, past)
    assert read_tokens_body({"tokens": [], "bound": [bot.model_dump()]}) is None
    assert read_tokens_body({"tokens": [], "revoked": [bot.model_dump()]}) is None
    assert (
        TokenTable.of((past, bot)).by_hash
        == TokenTable.of((bot, past)).by_hash
        == {bot.sha256: past}
    )


@pytest.mark.parametrize("body", [None, [], {}, {"tokens": 1}, {"tokens": [{}]}, {"tokens": [1]}])
def test_what_is_no_list_of_tokens_is_refused_as_a_whole(body: object) -> None:
    """Half a document would be a way to lose tokens unseen."""
    assert read_tokens_body(body) is None


def test_the_claims_name_the_service_and_nobody_else() -> None:
    """A service has no address, no roles and no organisation; its scopes are its permissions."""
    row: ServiceToken = made_token("till", scopes=("orders.read",)).row
    claims = claims_of(row, issuer="http://a", audience="b")
    assert (claims.sub, claims.client_id, claims.service) == ("till", "till", "till")
    assert (claims.sid, claims.jti, claims.kid) == (row.id, row.id, "")
    assert (claims.email, claims.org, claims.roles, claims.csrf) == ("", "", (), "")
    assert claims.permissions == ("orders.read",)
    assert (claims.sst, claims.iat_ms) == (row.created_at, row.created_at)
    bound = claims_of(made_token("till", org=row.id).row, issuer="http://a", audience="b")
    assert (bound.org, bound.email, bound.roles) == (row.id, "", ())
