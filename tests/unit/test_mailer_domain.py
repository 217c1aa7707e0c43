"""The mailer's decisions: replies, backoff, who asked, places, the server's URL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailer.domain.attempt import (
    Claimed,
    State,
    Timing,
    Verdict,
    backoff,
    deadline_ms,
    expiry_verdict,
    mail_key,
)
from services.mailer.domain.fairness import Places
from services.mailer.domain.replies import (
    Accepted,
    Broken,
    Meaning,
    MessageRefused,
    OutcomeUnknown,
    RecipientRefused,
    Reply,
    SenderTrouble,
    Stage,
    TryAgain,
    enhanced_status,
    interpret,
)
from services.mailer.domain.sender import SenderHealth
from services.mailer.domain.who import UNKNOWN_BROWSER, describe_browser, describe_network
from shared.smtp_url import MailServer, parse_smtp_url

TIMING = Timing()

REPLIES: list[tuple[Reply, type[Meaning]]] = [
    (Reply(Stage.DOT, 250), Accepted),
    (Reply(Stage.DOT, 251), Accepted),
    # "not now" is not now at every stage, greylisting and overload included
    *((Reply(stage, 421), TryAgain) for stage in Stage),
    *((Reply(stage, 451, "4.7.1"), TryAgain) for stage in Stage),
    (Reply(Stage.AUTH, 454, "4.7.0"), TryAgain),
    (Reply(Stage.TLS, 454), TryAgain),
    (Reply(Stage.RCPT, 450, "4.2.0"), TryAgain),
    # one recipient, nobody else
    (Reply(Stage.RCPT, 550, "5.1.1"), RecipientRefused),
    (Reply(Stage.RCPT, 552, "5.2.2"), RecipientRefused),
    (Reply(Stage.RCPT, 553), RecipientRefused),
    (Reply(Stage.DOT, 550, "5.1.1"), RecipientRefused),
    (Reply(Stage.DOT, 552, "5.2.2"), RecipientRefused),
    # us
    (Reply(Stage.CONNECT, 554), SenderTrouble),
    (Reply(Stage.EHLO, 550), SenderTrouble),
    (Reply(Stage.TLS, 502), SenderTrouble),
    (Reply(Stage.AUTH, 535, "5.7.8"), SenderTrouble),
    (Reply(Stage.MAIL, 550, "5.7.1"), SenderTrouble),
    (Reply(Stage.MAIL, 530, "5.7.0"), SenderTrouble),
    (Reply(Stage.RCPT, 530, "5.7.0"), SenderTrouble),
    (Reply(Stage.TLS, broken=Broken.TLS), SenderTrouble),
    (Reply(Stage.CONNECT, broken=Broken.TLS), SenderTrouble),
    (Reply(Stage.AUTH, broken=Broken.AUTH), SenderTrouble),
    # the text
    (Reply(Stage.DATA, 554), MessageRefused),
    (Reply(Stage.DOT, 554, "5.7.1"), MessageRefused),
    (Reply(Stage.DOT, 550), MessageRefused),
    # nothing was handed over
    *(
        (Reply(stage, broken=how), TryAgain)
        for stage in Stage
        if stage < Stage.DOT
        for how in (Broken.CONNECTION, Broken.TIMEOUT)
    ),
    (Reply(Stage.EHLO, -1), TryAgain),
    (Reply(Stage.DATA, 250), TryAgain),
    # everything was handed over, and then silence or nonsense
    (Reply(Stage.DOT, broken=Broken.CONNECTION), OutcomeUnknown),
    (Reply(Stage.DOT, broken=Broken.TIMEOUT), OutcomeUnknown),
    (Reply(Stage.DOT, -1), OutcomeUnknown),
    (Reply(Stage.DOT, 354), OutcomeUnknown),
]


@pytest.mark.parametrize(("reply", "meaning"), REPLIES, ids=str)
def test_a_reply_means(reply: Reply, meaning: type[Meaning]) -> None:
    """The stage decides as much as the code."""
    assert type(interpret(reply)) is meaning


@given(
    st.sampled_from(Stage), st.integers(-1, 999), st.sampled_from(["", "5.1.1", "5.7.1", "4.2.2"])
)
def test_no_reply_is_taken_for_an_acceptance_before_the_dot(
    stage: Stage, code: int, status: str
) -> None:
    """Only a 2xx to the text itself makes a mail sent."""
    meaning = interpret(Reply(stage, code, status))

    assert isinstance(meaning, Accepted) == (stage is Stage.DOT and 200 <= code <= 299)


@pytest.mark.parametrize(
    ("text", "status"),
    [("5.1.1 no such user", "5.1.1"), ("4.7.1", "4.7.1"), ("no 5.1.1", ""), ("5.1", ""), ("", "")],
)
def test_the_enhanced_status_is_read_from_the_start_only(text: str, status: str) -> None:
    """RFC 2034: the text begins with it."""
    assert enhanced_status(text) == status


@given(st.integers(1, 60), st.floats(0.001, 3600), st.floats(0, 0.999999))
def test_the_next_try_comes_while_the_link_lives(
    attempt: int, remaining: float, random: float
) -> None:
    """Backoff grows to a minute and never runs past the deadline."""
    delay = backoff(attempt, remaining, TIMING, random)

    assert 0 < delay <= min(TIMING.longest_backoff, remaining)


def test_backoff_doubles_with_jitter() -> None:
    """Two seconds, then four, up to a minute; between half and all of it."""
    assert [backoff(n, 1e6, TIMING, 0.0) for n in (1, 2, 3, 9)] == [1, 2, 4, 30]
    assert [backoff(n, 1e6, TIMING, 0.9999999) for n in (1, 2)] == pytest.approx([2, 4])


def test_giving_up_is_said_before_the_stream_forgets() -> None:
    """A notice's link lives a week, LOGIN an hour: the verdict comes in time to be announced."""
    assert deadline_ms(10_000, 0, TIMING) == 10_000
    assert deadline_ms(7 * 86_400_000, 1000, TIMING) == 1000 + 3_000_000


def test_a_cut_off_try_expires_as_unknown_and_not_as_unsent() -> None:
    """Nobody claims to know what nobody knows."""
    assert expiry_verdict(Claimed(3)) == Verdict(State.EXPIRED, 2, 0, "expired")
    assert expiry_verdict(Claimed(3, resumed=True)) == Verdict(
        State.EXPIRED, 2, 0, "outcome_unknown"
    )


def test_a_notice_is_another_mail_than_its_login() -> None:
    """Even if both carry one id."""
    assert mail_key("A", None) == "A"
    assert mail_key("A", "new_browser") == "A.new_browser"


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Safari on iPhone"),
        ("Firefox on Linux", "Firefox on Linux"),
        ("Chrome on ChromeOS", "Chrome on ChromeOS"),
        ("Edge on Windows", "Edge on Windows"),
        ("Samsung Internet on Android", "Samsung Internet on Android"),
        ("Safari on Mac", "Safari on Mac"),
        ("curl/8.5.0", "curl"),
        ("", UNKNOWN_BROWSER),
        ("visit https://evil.com now", UNKNOWN_BROWSER),
    ],
)
def test_a_browser_is_named_in_our_own_words(text: str, shown: str) -> None:
    """Whether auth passes the header or its own description."""
    assert describe_browser(text) == shown


_WRITTEN = st.lists(
    st.sampled_from(
        [
            *(
                "Mozilla/5.0 ",
                "Chrome/1 ",
                "Edg/1 ",
                "OPR/",
                "Firefox/",
                "SamsungBrowser/2",
                "Version/1 Safari/",
                "curl/",
            ),
            *(
                "(iPhone; ",
                "iPad",
                "Android ",
                "Windows NT",
                "CrOS ",
                "Mac OS X",
                "Linux",
                " on ",
                "Edge on Windows",
            ),
            *(
                "<b>",
                "\r\nBcc: a@b.c",
                "https://evil.test ",
                "203.0.113.0/24",
                "2001:db8::/64",
                "%s",
                "\x00",
                "\u202e",
            ),
        ]
    )
    | st.text(max_size=5),
    max_size=6,
).map("".join)


@given(st.text(max_size=255) | _WRITTEN)
def test_nothing_a_client_writes_reaches_the_mail(text: str) -> None:
    """Only words of the table, and a network that parses as one."""
    words = set(describe_browser(text).split())
    browsers = "Edge Opera Samsung Internet Firefox Chrome Safari curl"
    systems = "iPhone iPad Android Windows ChromeOS Mac Linux"
    table = set(f"{browsers} {systems} on {UNKNOWN_BROWSER}".split())

    assert words <= table
    assert describe_network(text).startswith(("network ", "an unknown network"))


def test_a_network_is_shown_as_a_network() -> None:
    """IPv4 and IPv6."""
    assert describe_network("203.0.113.0/24") == "network 203.0.113.0/24"
    assert describe_network("2001:db8::/64") == "network 2001:db8::/64"
    assert describe_network("evil.com") == "an unknown network"


def test_slow_domains_always_leave_a_place_for_the_next() -> None:
    """Half of what the others leave: 8, 4, 2, 1, and one more for a fifth."""
    places = Places(16)

    taken = {d: sum(places.take(d) for _ in range(100)) for d in ("a", "b", "c", "d", "e")}

    assert taken == {"a": 8, "b": 4, "c": 2, "d": 1, "e": 1}


def test_a_place_given_back_can_be_taken_again() -> None:
    """By anybody."""
    places = Places(2)
    assert places.take("a")
    assert not places.take("a")

    places.leave("a")

    assert places.take("a")


def test_trouble_is_reported_until_a_mail_gets_through_or_time_passes() -> None:
    """What /ready says."""
    health = SenderHealth()
    health.refused("the mail server refuses us", 1000)

    assert health.problem(999) == "the mail server refuses us"
    assert health.problem(1000) is None

    health.refused("again", 3000)
    health.answered()
    assert health.problem(2000) is None


def test_one_broken_connection_is_no_news_and_three_are() -> None:
    """A server that does not answer keeps the mailer from being ready."""
    health = SenderHealth()
    health.unreachable(1000)
    health.unreachable(1000)
    assert health.problem(0) is None

    health.unreachable(1000)

    assert health.problem(0) == "the mail server does not answer"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.acme.com", MailServer("mail.acme.com", 587, "starttls")),
        (
            "smtp://u:p%40ss@mail.acme.com:25",
            MailServer("mail.acme.com", 25, "starttls", "u", "p@ss"),
        ),
        ("smtps://u@mail.acme.com", MailServer("mail.acme.com", 465, "implicit", "u")),
        ("smtp://mail.acme.com?starttls=never", MailServer("mail.acme.com", 25, "none")),
        ("smtp://127.0.0.1:1025", MailServer("127.0.0.1", 1025, "none")),
        ("smtp://localhost", MailServer("localhost", 25, "none")),
        ("smtp://[::1]:1025", MailServer("::1", 1025, "none")),
        ("smtp://u:p@localhost:1025", MailServer("localhost", 1025, "none", "u", "p")),
        ("smtp://localhost?starttls=always", MailServer("localhost", 587, "starttls")),
        ("smtp://127.evil.com:25", MailServer("127.evil.com", 25, "starttls")),
    ],
)
def test_a_mail_server_is_reached_with_tls_unless_it_is_this_machine(
    url: str, server: MailServer
) -> None:
    """Nothing but a spelled-out choice turns STARTTLS off."""
    assert parse_smtp_url(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://mail.acme.com",
        "smtp://",
        "smtp://mail.acme.com/path",
        "smtp://u:canary#x@mail.acme.com",
        "smtp://u:canary?x@mail.acme.com",
        "smtp://u:canary/x@mail.acme.com",
        "smtp://u:12#canary@mail.acme.com",
        "smtp://:canary@mail.acme.com",
        "smtp://mail.acme.com:0",
        "smtp://mail.acme.com:canary",
        "smtp://mail.acme.com?starttls=canary",
        "smtp://mail.acme.com?canary",
        "smtps://mail.acme.com?starttls=never",
        "smtp://u:canary@mail.acme.com?starttls=never",
    ],
)
def test_a_url_that_is_not_understood_is_refused_without_being_repeated(url: str) -> None:
    """It may hold a password, so no error text may hold a part of it."""
    with pytest.raises(ValueError) as refusal:
        parse_smtp_url(url)

    assert "canary" not in str(refusal.value)


def test_a_password_does_not_show() -> None:
    """Not even in a repr."""
    assert "canary" not in repr(parse_smtp_url("smtps://u:canary@mail.acme.com"))
