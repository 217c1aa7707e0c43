"""The runbook says what the code does."""

import re
from pathlib import Path

from services.edge.domain.decision import STATUS
from services.mailer.domain.attempt import Reason, Timing
from services.revocation.flows.roll import MAX_EDGES
from shared.contract import DEADLETTER_LOGIN, DEADLETTER_TOKEN, dead_letter_subject

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def test_every_reason_of_a_refusal_has_a_row_with_a_cure() -> None:
    """An operator who sees a code in X-Latchwire-Reason finds it."""
    table = RUNBOOK.partition("| reason | meaning | who acts |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    named = {code for row in rows for code in re.findall(r"`(\w+)`", row[1])}

    assert named == set(STATUS)
    assert all(len(row) == 5 and row[3].strip() for row in rows)


def test_the_codes_of_mails_that_were_not_sent_are_the_mailers() -> None:
    """And the pause is the one it makes."""
    section = RUNBOOK.partition("## Mail does not arrive")[2].partition("\n## ")[0]
    told = set(
        re.findall(r"`(\w+)`", section.partition("`mail.failed`")[2].partition("Neither")[0])
    )

    assert told <= {reason.value for reason in Reason}
    assert Reason.RECIPIENT_REFUSED.value in told
    assert f"every {Timing().pause:.0f} seconds" in section


def test_every_metric_it_names_is_one_of_a_worker() -> None:
    """As the worker of its row registers it; a counter's ``_total`` is the library's to add."""
    table = RUNBOOK.partition("| metric | worker | look when |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE)

    assert len(rows) == 5
    for metric, worker in rows:
        sources = "".join(p.read_text() for p in (ROOT / "services" / worker).rglob("*.py"))
        assert f'"{metric.removesuffix("_total")}"' in sources, metric


def test_as_many_edges_as_it_says_are_remembered() -> None:
    """With one more no list is the whole one."""
    assert f"remember {MAX_EDGES} live edges" in RUNBOOK


def test_dead_letters_are_named_as_they_are() -> None:
    """Both families of the contract."""
    for original in ("token.revoked", "login.requested"):
        assert f"`{dead_letter_subject(original).name}`" in RUNBOOK
    assert {DEADLETTER_LOGIN.name, DEADLETTER_TOKEN.name} == {
        "deadletter.login.*", "deadletter.token.*",
    }  # fmt: skip


def test_the_copy_in_redis_is_asked_for_every_scope() -> None:
    """A service without NATS that follows the page misses no kind of revocation."""
    page = (ROOT / "docs" / "contract.md").read_text()
    section = page.partition("## Redis")[2].partition("\n## ")[0]

    for claim in ("jti", "sid", "client_id", "kid", "sub", "email"):
        assert f"`{claim}`" in section
