"""How much one service may have read, applied and kept."""

from dataclasses import replace

from services.revocation.flows.turnstile import (
    AT_ONCE,
    LETTERS_AT_ONCE,
    LETTERS_PER_SECOND,
    PER_SECOND,
    Turnstile,
)
from shared.bus import Delivery
from shared.revokers import parse_revokers
from tests.support.fakes.clock import FakeClock

DAY_MS = 86_400_000


def turnstile(clock: FakeClock | None = None) -> Turnstile:
    """With the rows of two services."""
    return Turnstile(parse_revokers("shop: [session]\nreports: []\n"), clock or FakeClock())


def said(name: str, at_ms: int = 10 * DAY_MS, deliveries: int = 1) -> Delivery:
    """A message of the service *name*, stored at *at_ms*."""
    return Delivery(f"token.revoked.by.{name}", "TOKEN_BY", 1, "revocation-by", deliveries, at_ms)


def applied(gate: Turnstile, times: list[int], name: str = "shop") -> int:
    """How many of the events stored at *times* are applied."""
    return sum(not gate.too_many(said(name, at)) for at in times)


def test_a_name_that_may_nothing_is_turned_away_unread() -> None:
    """Without a row, or with an empty one: such a credential only reads."""
    gate = turnstile()

    assert not gate.turns_away(said("shop"))
    assert gate.turns_away(said("reports"))
    assert gate.turns_away(said("stranger"))


def test_beyond_the_rate_a_names_events_are_refused_and_other_names_go_on() -> None:
    """Two thousand at once, then two hundred a second."""
    gate, began = turnstile(), 10 * DAY_MS

    assert applied(gate, [began] * (AT_ONCE + 500)) == AT_ONCE
    assert applied(gate, [began] * 10, "hr") == 10
    assert applied(gate, [began + 1_000] * (AT_ONCE + 500)) == PER_SECOND


def test_a_backlog_of_a_lawful_pace_is_applied_however_late() -> None:
    """The time that counts is that of storing: ten thousand that waited for a worker are all applied."""
    gate, began = turnstile(), 10 * DAY_MS

    assert applied(gate, [began + n * 1_000 // PER_SECOND for n in range(10_000)]) == 10_000


def test_a_replay_refuses_nothing_that_was_applied_before() -> None:
    """After BLOCKLIST was lost all that was said in eight days comes again at once."""
    gate, began = turnstile(), 10 * DAY_MS
    times = [began - DAY_MS] * AT_ONCE + [began] * AT_ONCE

    assert applied(gate, times) == len(times)
    assert applied(gate, times) == len(times)


def test_what_is_delivered_again_was_counted_already() -> None:
    """A worker that died had it, or the same worker tries it again."""
    gate = turnstile()
    applied(gate, [10 * DAY_MS] * AT_ONCE)

    assert gate.too_many(said("shop"))
    assert not gate.too_many(replace(said("shop"), deliveries=2))


def test_refused_messages_are_kept_up_to_a_number() -> None:
    """A hundred dead letters at once, then ten a second; another name's are its own."""
    clock = FakeClock()
    gate = turnstile(clock)

    assert sum(gate.keeps(said("shop")) for _ in range(1_000)) == LETTERS_AT_ONCE
    assert gate.keeps(said("hr"))
    clock.advance(1_000)
    assert sum(gate.keeps(said("shop")) for _ in range(1_000)) == LETTERS_PER_SECOND
