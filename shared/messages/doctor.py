"""What a worker alone can see, told to an operator's ``doctor``: no key, no address, no person is in it."""

from typing import Annotated

from pydantic import Field

from shared.messages.base import Identifier, Message, Millis, ShortText

Texts = Annotated[tuple[ShortText, ...], Field(max_length=64)]


class AskFacts(Message):
    """``op.doctor.facts.<worker>``, ``op.doctor.edge.<edge_id>``: how do things stand where you are?

    Every process of a worker answers. With *roll_call* it says only who it is and what stands in its
    ``/ready``, at once: then the asker knows for how many answers to wait.
    """

    roll_call: bool = False


class RedisFacts(Message):
    """Redis as one worker sees it; "" or None is what the server does not tell (``CONFIG`` may be forbidden).

    *problem* is the reason why nothing else could be read. *ahead_ms*: its clock less the worker's. *used* is
    the part of its memory that is taken, from 0 to 1 and 0 where it is not *bounded*.
    """

    problem: ShortText = ""
    eviction: ShortText = ""
    append_only: bool | None = None
    fsync: ShortText = ""
    last_write_ok: bool = True
    used: float = 0.0
    evicted: int = 0
    ahead_ms: int = 0
    bounded: bool = True


class SmtpFacts(Message):
    """A conversation with the mail server up to the sign-in, and no mail: *problem* "" is success.

    *tls*: ``implicit``, ``starttls`` or ``none``; *here*: the server is this machine itself.
    """

    problem: ShortText = ""
    tls: ShortText = ""
    here: bool = False


class KeyFacts(Message):
    """A key in use. *made_on* is its kid's date (YYYYMMDD)."""

    purpose: ShortText
    kid: ShortText
    made_on: ShortText


class WorkerFacts(Message):
    """The answer of one worker. *at* is its clock (Unix ms); *problems* and *notes* are those of ``/ready``.

    *allows_everybody*: anybody with a mailbox may log in. *trusted_proxies* are networks. *assertion_key*:
    whether an edge has a certified key of its own for assertions. None is what is not this worker's affair.
    *catalogue_generation*: of the catalogue that auth goes by, 0 for a file; told in a roll call too.
    *process* is another for each life of each process; *place* is where it runs, for people: its machine's name
    and its process id.
    """

    worker: Identifier
    process: ShortText = ""
    place: ShortText = ""
    at: Millis
    url: ShortText = ""
    version: ShortText = ""
    problems: Texts = ()
    notes: Texts = ()
    trusted_proxies: Texts = ()
    cookie_domain: ShortText = ""
    allows_everybody: bool | None = None
    assertion_key: bool | None = None
    max_staleness_ms: int = 0
    catalogue_generation: int = 0
    redis: RedisFacts | None = None
    smtp: SmtpFacts | None = None
    keys: Annotated[tuple[KeyFacts, ...], Field(max_length=64)] = ()
