"""Keys and catalogue of an edge change between two checks: no false refusal, nothing survives its key."""

import pytest

from latchwire.documents import CATALOGUE, KEYS, MAX_GENERATION, TOKENS, Documents
from latchwire.tokens import Refused
from services.edge.domain.decision import VerifiedToken
from services.edge.handlers.documents import follow
from shared.service_tokens import MAX_AHEAD_MS, MAX_LIFETIME_MS, tokens_body
from tests.support.documents import operators, signed
from tests.support.edge import Desk, make_desk, request, token
from tests.support.service_tokens import Made, made_token
from tests.support.tokens import NOW_MS, jwks, make_claims, ring, sign, signing_key

NEW = signing_key("RS256", "new")
USUAL = [signing_key(alg) for alg in ("RS256", "ES256", "EdDSA")]


class Reader:
    """A desk that follows documents, which are handed to it as the feed would."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.changes = self.seq = 0
        self.documents: Documents = follow(
            desk.checker,
            desk.tokens,
            operators(),
            file="",
            api_prefix="CORE.API",
            clock=desk.clock,
            on_applied=self._count,
        )

    def _count(self) -> None:
        self.changes += 1

    def take(self, name: str, jws: bytes) -> None:
        document = self.documents._genuine(name, jws, self.seq)
        if document is not None:
            self.seq += 1
            self.documents._put_in_force(document, self.seq)

    def keys(self, generation: int, *keys: object) -> None:
        self.take(KEYS, signed(jwks(*keys), generation))  # type: ignore[arg-type]

    def catalogue(self, generation: int, text: object) -> None:
        self.take(CATALOGUE, signed(text, generation, name=CATALOGUE))

    def tokens(self, generation: int, *made: Made) -> None:
        body = tokens_body(each.row for each in made)
        self.take(TOKENS, signed(body, generation, name=TOKENS, key=USUAL[2]))


@pytest.fixture
def reader() -> Reader:
    return Reader(make_desk())


def by_new_key() -> bytes:
    return sign(make_claims(), NEW)


def test_a_new_key_counts_from_its_document_on(reader: Reader) -> None:
    """And the old ones go on, without being verified again."""
    desk = reader.desk
    old, new = token(), by_new_key()
    assert desk.outcome(request(bearer=old)) == "allow"
    assert desk.outcome(request(bearer=new)) == "token_invalid"
    misses = desk.tokens.misses

    reader.keys(1, *USUAL, NEW)

    assert desk.outcome(request(bearer=new)) == "allow"
    assert desk.outcome(request(bearer=old)) == "allow"
    assert desk.tokens.misses == misses + 1  # the new one only
    assert (desk.checker.keys_generation, reader.changes) == (1, 1)


def test_a_remembered_token_does_not_outlive_its_key(reader: Reader) -> None:
    """In both generations of the cache; the others stay remembered."""
    desk = reader.desk = make_desk(capacity=2)
    reader = Reader(desk)
    reader.keys(1, *USUAL, NEW)
    gone = [sign(make_claims(jti=f"01J0000000000000000000000{n}"), NEW) for n in "123"]
    stays = token()
    for bearer in (*gone, stays):
        assert desk.outcome(request(bearer=bearer)) == "allow"
    assert desk.tokens._old
    assert desk.tokens._young

    reader.keys(2, *USUAL)

    assert [desk.outcome(request(bearer=bearer)) for bearer in gone] == ["token_invalid"] * 3
    hits = desk.tokens.hits
    assert desk.outcome(request(bearer=stays)) == "allow"
    assert desk.tokens.hits == hits + 1


def test_another_key_under_the_same_name_inherits_nothing(reader: Reader) -> None:
    """What the first one verified is verified anew, and fails."""
    desk = reader.desk
    reader.keys(1, *USUAL, NEW)
    assert desk.outcome(request(bearer=by_new_key())) == "allow"
    twin = signing_key("RS256", "twin").public_jwk(kid=NEW.kid)

    reader.take(KEYS, signed({"keys": [*jwks()["keys"], twin]}, 2))

    assert desk.outcome(request(bearer=by_new_key())) == "token_invalid"


def test_an_older_document_changes_nothing(reader: Reader) -> None:
    """Genuine as it is: it is counted, and said which generation it has."""
    reader.keys(5, *USUAL)
    reader.keys(4, *USUAL, NEW)
    reader.keys(5, *USUAL, NEW)

    assert reader.desk.outcome(request(bearer=by_new_key())) == "token_invalid"
    assert reader.documents.generation(KEYS) == 5
    assert reader.documents.refused == 2
    assert "generation 5 is there" in reader.documents.problems[KEYS]


def test_the_document_in_force_may_be_heard_again(reader: Reader) -> None:
    """Read from the stream after it was heard: no alarm."""
    reader.keys(5, *USUAL)
    reader.keys(5, *USUAL)

    assert (reader.documents.refused, reader.changes) == (0, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"keys": []},
        {"keys": "none"},
        {},
        [],
        "keys",
        {"keys": [{"kty": "oct", "k": "AA", "kid": "x", "alg": "HS256", "use": "sig"}]},
        {"keys": jwks(NEW)["keys"] * 2},
    ],
    ids=["empty", "no list", "no keys", "a list", "a text", "symmetric", "one twice"],
)
def test_a_key_set_that_cannot_be_used_leaves_the_old_one(reader: Reader, body: object) -> None:
    """An operator's mistake shuts nobody out."""
    reader.keys(1, *USUAL)

    reader.take(KEYS, signed(body, 2))

    assert reader.desk.outcome(request(bearer=token())) == "allow"
    assert reader.documents.generation(KEYS) == reader.desk.checker.keys_generation == 1
    assert "generation 2" in reader.documents.problems[KEYS]


def test_a_new_catalogue_counts_from_its_document_on(reader: Reader) -> None:
    """Rules that were remembered are forgotten, and so is how long the old ones waited."""
    desk = reader.desk
    assert desk.outcome(request("/demo", bearer=token())) == "allow"
    assert desk.checker.longest_staleness == 60.0

    reader.catalogue(1, "services: {shop: {paths: [/shop], upstream: 'http://127.0.0.1:1'}}")

    assert desk.outcome(request("/demo", bearer=token())) == "no_route"
    assert desk.outcome(request("/shop", bearer=token())) == "allow"
    assert desk.checker.longest_staleness == 10.0
    assert desk.checker.catalogue_generation == 1


@pytest.mark.parametrize(
    "text",
    [
        "services: {shop: {paths: [shop]}}",
        "services: [",
        "",
        {"services": {}},
        "services: {a: &x b}",
    ],
    ids=str,
)
def test_a_catalogue_that_cannot_be_used_leaves_the_old_one(reader: Reader, text: object) -> None:
    """Refused whole; it is said why, and the generation shows that it is not in force."""
    reader.catalogue(1, text)

    assert reader.desk.outcome(request("/demo", bearer=token())) == "allow"
    assert reader.desk.checker.catalogue_generation == 0
    assert reader.documents.refused == 1
    # Once it is mended all is well again.
    reader.catalogue(2, "services: {shop: {paths: [/shop], upstream: 'http://127.0.0.1:1'}}")
    assert (reader.desk.checker.catalogue_generation, reader.documents.problems) == (2, {})


def test_keys_that_stay_are_not_verified_again() -> None:
    """A ring with the same keys in another object throws nothing away."""
    desk = make_desk()
    desk.outcome(request(bearer=token()))

    desk.tokens.use(ring(*USUAL, NEW))
    desk.outcome(request(bearer=token()))

    assert (desk.tokens.hits, desk.tokens.misses) == (1, 1)


def test_service_tokens_are_vouched_for_by_the_key_of_their_document(reader: Reader) -> None:
    """Whatever revokes that key ends them, as all that it signed."""
    bot = made_token("bot")
    reader.tokens(1, bot)
    found = reader.desk.tokens.verify(bot.raw)
    assert isinstance(found, VerifiedToken)
    assert found.claims.kid == USUAL[2].kid


@pytest.mark.parametrize("generation", [NOW_MS + MAX_AHEAD_MS + 1, MAX_GENERATION])
def test_no_generation_keeps_later_ones_out(reader: Reader, generation: int) -> None:
    """It is a time: one of the future, by a stolen key, would be the last that anybody believes."""
    first, second = made_token("bot"), made_token("bot")
    reader.tokens(generation, first)
    assert reader.documents.problems["tokens"].endswith("a time of the future")
    reader.tokens(NOW_MS, second)
    assert isinstance(reader.desk.tokens.verify(first.raw), Refused)
    assert isinstance(reader.desk.tokens.verify(second.raw), VerifiedToken)


def test_a_token_that_lives_longer_than_any_is_none(reader: Reader) -> None:
    """Auth makes none: the document is somebody else's."""
    bot = made_token("bot")
    ends = bot.row.created_at + MAX_LIFETIME_MS
    reader.tokens(1, Made(bot.text, bot.row.model_copy(update={"expires_at": ends + 1})))
    assert isinstance(reader.desk.tokens.verify(bot.raw), Refused)
    reader.tokens(2, Made(bot.text, bot.row.model_copy(update={"expires_at": ends})))
    assert isinstance(reader.desk.tokens.verify(bot.raw), VerifiedToken)
