"""A batch of direct get counts as what was asked for, or not at all."""

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from latchwire._transfer import Batch, FeedReadError, Transfer
from latchwire.blocklist import Blocklist
from latchwire.records import Record, record_key

KEY = b"k" * 32
RECORD = Record(4_000_000_000_000)


def record(seq: int, previous: int, stream: str = "BLOCKLIST") -> Msg:
    """A record as the server sends it in a batch."""
    headers = {
        "Nats-Stream": stream,
        "Nats-Subject": f"bl.{record_key(KEY, 'session', str(seq))}",
        "Nats-Sequence": str(seq),
        "Nats-Last-Sequence": str(previous),
    }
    return Msg(Client(), subject="inbox", data=RECORD.pack(), headers=headers)


def status(code: str, **headers: str) -> Msg:
    """The end of a batch."""
    named = {f"Nats-{name.replace('_', '-')}": value for name, value in headers.items()}
    return Msg(Client(), subject="inbox", headers={"Status": code, **named})


END = status("204", Last_Sequence="9", Num_Pending="0")


async def take(start: int, *messages: Msg) -> tuple[Transfer, Blocklist]:
    """A transfer from *start* on that got these messages."""
    into = Blocklist(KEY)
    transfer = Transfer(start, into)
    for message in messages:
        await transfer.take(message)
    return transfer, into


async def test_a_chain_from_the_start_counts_to_its_end() -> None:
    """Gaps in the sequences are what was replaced; each message names the one before."""
    transfer, into = await take(4, record(4, 0), record(7, 4), record(9, 7), END)

    assert transfer.done.result() == Batch(9)
    assert len(into) == 3


async def test_a_batch_that_begins_later_brings_the_read_no_further() -> None:
    """Another question's answer, aimed here, must not make what it left out look read."""
    transfer, _ = await take(4, record(9, 0), END)

    assert transfer.done.result() == Batch(0)


async def test_a_link_that_is_missing_is_an_error() -> None:
    """In the middle or at the end."""
    for messages in ([record(4, 0), record(9, 7)], [record(4, 0), END]):
        transfer, _ = await take(4, *messages)
        with pytest.raises(FeedReadError):
            transfer.done.result()


async def test_what_is_no_part_of_a_batch_is_passed_over() -> None:
    """An answer of JetStream's API, another stream's message, silence: the wait goes on."""
    info = Msg(Client(), subject="inbox", data=b'{"config":{}}')

    transfer, into = await take(4, info, record(9, 0, stream="LOGIN"))

    assert not transfer.done.done()
    assert len(into) == 0


@pytest.mark.parametrize("body", [b"", b'{"stream":"OPS","seq":3}', b"From: ada@example.com"])
async def test_what_is_no_record_at_all_is_passed_over(body: bytes) -> None:
    """Anybody in the workers' account can have the server store an answer: it must close no edge."""
    foreign = record(7, 4)
    foreign.data = body
    transfer, into = await take(4, record(4, 0), foreign, record(9, 7), END)

    assert transfer.done.result() == Batch(9)
    assert len(into) == 2


@pytest.mark.parametrize("body", [b"\x02" + RECORD.pack()[1:], b"\x01short", b"\x1f"])
async def test_a_record_of_a_version_to_come_is_not_passed_over(body: bytes) -> None:
    """It may refuse somebody: who cannot read it must not say that nothing is missing."""
    later = record(7, 4)
    later.data = body
    transfer, _ = await take(4, record(4, 0), later, record(9, 7), END)

    with pytest.raises(FeedReadError, match="not a record we understand"):
        transfer.done.result()


@pytest.mark.parametrize("subject", ["bl.x", "bl.", "bl.sABC", "bl.q" + "a" * 26, "bl.a.b"])
async def test_a_record_under_no_record_key_is_passed_over(subject: str) -> None:
    """A client of the workers' account had the server store a true record there: it must close no edge."""
    elsewhere = record(7, 4)
    assert elsewhere.headers is not None
    elsewhere.headers["Nats-Subject"] = subject
    transfer, into = await take(4, record(4, 0), elsewhere, record(9, 7), END)

    assert transfer.done.result() == Batch(9)
    assert len(into) == 2
    assert transfer.passed_over == 1
