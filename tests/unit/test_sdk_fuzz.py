"""Whatever headers come, the SDK's middlewares answer, and nobody is let in by accident."""

from hypothesis import given, settings
from hypothesis import strategies as st

from latchwire import Claims, Refused
from latchwire._bearer import Refusal, authenticate
from latchwire.testing import FakeFeed, FakeIssuer
from tests.support.properties import examples

ISSUER = FakeIssuer()
FEED = FakeFeed(clock=ISSUER.clock)
VERIFIER = ISSUER.verifier(FEED)
TOKEN = ISSUER.token().encode()
PIECES = [
    b"Bearer ",
    b"bearer",
    b" ",
    b",",
    b"latchwire.bearer.",
    b"\x00",
    b"\xff",
    b"=",
    b".",
    TOKEN,
]
HEADER = st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=6).map(b"".join)
# Bytes of chance never hold a good token in its place: what does, and what nearly does, is tried as well.
CLOSE = st.sampled_from(
    [
        b"Bearer " + TOKEN,
        b"bEARER " + TOKEN,
        b"Bearer  " + TOKEN,
        b"Bearer " + TOKEN + b" ",
        b"latchwire.bearer." + TOKEN,
        b"graphql-ws, latchwire.bearer." + TOKEN,
        b"latchwire.bearer." + TOKEN + b",latchwire.bearer." + TOKEN,
    ]
)
HEADERS = st.lists(HEADER, max_size=3) | st.lists(CLOSE | HEADER, max_size=2)
CHARACTERS = st.characters() | st.characters(categories=["Cs"])


@given(authorization=HEADERS, protocols=HEADERS)
@settings(max_examples=examples(500))
def test_only_one_credential_that_is_exactly_a_good_token_opens(
    authorization: list[bytes], protocols: list[bytes]
) -> None:
    """Every refusal can be written as a response; who gets in brought the token once, and nothing else."""
    outcome = authenticate(VERIFIER, authorization, protocols)

    if isinstance(outcome, Refusal):
        assert outcome.status in {400, 401}
        for name, value in outcome.headers:
            assert f"{name}: {value}".isascii()
            assert f"{name}: {value}".isprintable()
        return
    assert isinstance(outcome, Claims)
    offered = [p.strip() for header in protocols for p in header.split(b",")]
    presented = [p for p in offered if p.startswith(b"latchwire.bearer.")]
    assert [b"latchwire.bearer." + TOKEN] == presented or (
        presented == [] and authorization[0].lower() == (b"bearer " + TOKEN).lower()
    )
    assert len(presented) + len(authorization) == 1


@given(token=st.binary(max_size=5000) | st.text(CHARACTERS, max_size=100))
@settings(max_examples=examples(200))
def test_a_verifier_refuses_whatever_is_no_token(token: bytes | str) -> None:
    """It raises nothing, also for text that is no UTF-8."""
    outcome = VERIFIER.verify(token)

    assert isinstance(outcome, Refused)
    assert "token_invalid" == outcome.code
