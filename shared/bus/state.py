"""BLOCKLIST as state: read a record from the leader, write it with compare-and-set, learn positions."""

import asyncio
import base64
import json
import math
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from shared import contract
from shared.bus.acks import PubAcks
from shared.bus.errors import BusUnavailableError

T = TypeVar("T")

WRONG_LAST_SEQUENCE = 10071  # JetStream's err_code for a lost compare-and-set
YOUNG_MS = 1_000  # a backlog of that age harms nobody's proof: whose it is need not be asked
NO_MESSAGE = 10037  # err_code: there is a stream, and nothing in it that was asked for
TIMEOUT = 2.0  # seconds, per request to JetStream
# A leader that was cut off believes itself the leader for ten seconds more (adr/0015). Its followers wait
# four before they elect another: within this of having heard a majority, there is no other.
LEADER_SILENCE_NS = 2_500_000_000


@dataclass(frozen=True)
class Ack:
    """JetStream's PubAck: where the message is stored; *duplicate* when it was there before."""

    stream: str
    seq: int
    duplicate: bool


@dataclass(frozen=True)
class Position:
    """A stream as its leader sees it; *last_ts* is when its last message was stored, in the server's words."""

    epoch: str
    first_seq: int
    last_seq: int
    messages: int = 0
    bytes: int = 0
    last_ts: str = ""


@dataclass(frozen=True)
class StoredMessage:
    """A message as its stream holds it; *stored_at_ms* is the server's time of storing it."""

    data: bytes
    stored_at_ms: int


@dataclass(frozen=True)
class StateMessage:
    """One record of BLOCKLIST as it is stored: its sequence, key and packed body."""

    seq: int
    key: str
    body: bytes


class BlocklistState:
    """The state half of `Bus`; separate because only two workers need it."""

    def __init__(self, client: Client, js: JetStreamContext) -> None:
        self._client = client
        self._js = js
        self._acks = PubAcks(client)

    async def get(self, key: str) -> tuple[bytes, int] | None:
        """The record under *key* and its sequence, read from the stream leader.

        Raises:
            BusUnavailableError: the leader did not answer.
        """
        subject = f"{contract.BLOCKLIST_STATE}.{key}"
        try:
            message = await self._js.get_last_msg(contract.BLOCKLIST.name, subject)
        except NotFoundError:
            return None
        except (nats.errors.Error, APIError) as error:
            raise BusUnavailableError(str(error)) from error
        return message.data or b"", message.seq or 0

    async def get_each(self, keys: Sequence[str]) -> list[tuple[bytes, int] | None]:
        """`get` of all *keys* at once.

        Raises:
            BusUnavailableError: the leader did not answer for one of them.
        """
        return await _together(self.get(key) for key in keys)

    async def stored_at(self, seq: int) -> str | None:
        """When BLOCKLIST's message *seq* was stored, as `Position.last_ts`; None: it is not there any more.

        Raises:
            BusUnavailableError: the leader did not answer.
        """
        answer = await self._api(f"STREAM.MSG.GET.{contract.BLOCKLIST.name}", {"seq": seq})
        return str(answer["message"]["time"]) if "message" in answer else None

    async def put(
        self, key: str, body: bytes, *, expected_seq: int, ttl_seconds: float
    ) -> Ack | None:
        """Store *body* if the last sequence of its subject is *expected_seq* (0: absent).

        The server forgets it after *ttl_seconds*, rounded up: a fraction would be cut to a shorter life.

        Returns:
            The PubAck, or None when somebody else wrote first.
        """
        headers = {
            "Nats-Expected-Last-Subject-Sequence": str(expected_seq),
            "Nats-TTL": str(max(1, math.ceil(ttl_seconds))),
        }
        subject = f"{contract.BLOCKLIST_STATE}.{key}"
        try:
            ack = await self._acks.publish(subject, body, headers, timeout=TIMEOUT)
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                return None
            raise BusUnavailableError(str(error)) from error
        except nats.errors.Error as error:
            raise BusUnavailableError(str(error)) from error
        return Ack(ack["stream"], ack["seq"], bool(ack.get("duplicate")))

    async def next(self, from_seq: int) -> StateMessage | None:
        """The leader's first record at or after *from_seq*, or None when it has nothing left.

        Raises:
            BusUnavailableError: the leader did not answer.
        """
        found = await self._api(
            f"STREAM.MSG.GET.{contract.BLOCKLIST.name}",
            {"seq": from_seq, "next_by_subj": f"{contract.BLOCKLIST_STATE}.*"},
        )
        if "message" not in found:
            return None
        message = found["message"]
        key = message["subject"].removeprefix(f"{contract.BLOCKLIST_STATE}.")
        return StateMessage(message["seq"], key, base64.b64decode(message.get("data", "")))

    async def position(self, stream: contract.Stream) -> Position:
        """Epoch, first and last sequence, from the leader.

        Raises:
            BusUnavailableError: the leader did not answer, or may be the leader no longer.
        """
        info = await self._api(f"STREAM.INFO.{stream.name}", {})
        if not leads_a_majority(info):
            raise BusUnavailableError(f"the leader of {stream.name} hears no majority")
        state = info["state"]
        epoch = (info["config"].get("metadata") or {}).get("epoch", "")
        ends = state["first_seq"], state["last_seq"]
        return Position(epoch, *ends, state["messages"], state["bytes"], state["last_ts"])

    async def consumer(self, durable: contract.Durable) -> dict[str, Any]:
        """JetStream's own description of a consumer."""
        return await self._api(f"CONSUMER.INFO.{durable.stream.name}.{durable.name}", {})

    async def backlog_ms(
        self, durable: contract.Durable, subjects: Sequence[str] | None = None
    ) -> int:
        """Age in ms of the oldest message *durable* has not acknowledged; 0 when there is none.

        Both times are the server's, so a worker's own clock cannot flatter the answer. With *subjects*
        only those count once anything waits for longer than that takes to find out; of those it is the age
        of the first, acknowledged or not.
        """
        info = await self.consumer(durable)
        # Whether anything waits is the stream's word: a consumer's leader may have a copy that lags.
        position = await self.position(durable.stream)
        if info["ack_floor"]["stream_seq"] >= position.last_seq:
            return 0
        after = info["ack_floor"]["stream_seq"] + 1
        found = await self._api(
            f"STREAM.MSG.GET.{durable.stream.name}",
            {"seq": after, "next_by_subj": durable.filter_subject},
        )
        if "message" not in found:
            await self._check_gone(durable.stream, after)
            return 0
        now = rfc3339_ms(info["ts"])
        age = max(1, now - rfc3339_ms(found["message"]["time"]))
        if subjects is None or age <= YOUNG_MS:
            return age
        ages = [await self._age_ms(durable.stream, after, subject, now) for subject in subjects]
        await self._check_end(durable.stream, position.last_seq)
        return max(ages, default=0)

    async def _age_ms(self, stream: contract.Stream, after: int, subject: str, now: int) -> int:
        """How old at *now* the first of *subject* at or behind *after* is; 0: there is none."""
        body = {"seq": after, "next_by_subj": subject}
        found = await self._api(f"STREAM.MSG.GET.{stream.name}", body)
        return max(1, now - rfc3339_ms(found["message"]["time"])) if "message" in found else 0

    async def _check_end(self, stream: contract.Stream, seq: int) -> None:
        """Return when who answers for *stream* has its message *seq*, or that one was removed.

        Raises:
            BusUnavailableError: it may lack what it has said that there is none of.
        """
        if "message" not in await self._api(f"STREAM.MSG.GET.{stream.name}", {"seq": seq}):
            await self._check_gone(stream, seq)

    async def _check_gone(self, stream: contract.Stream, seq: int) -> None:
        """Return when *stream*, all of whose messages wait for one durable, can have none from *seq* on.

        "No message" may come from a leader that was replaced and does not know it yet; where the stream
        begins and ends is told with a majority behind it.

        Raises:
            BusUnavailableError: it has some.
        """
        position = await self.position(stream)
        whole = position.messages == position.last_seq - position.first_seq + 1
        if position.messages and whole and position.last_seq >= seq:
            raise BusUnavailableError(f"who answers for {stream.name} lacks what its leader has")

    async def acknowledged(self, durable: contract.Durable, most: int) -> list[StoredMessage]:
        """Of the messages up to which *durable* has acknowledged all the latest *most*, newest first.

        And of older ones ever fewer, each half as far again from the newest as the one before: a gap of some
        width is met also when many messages came after it.

        Raises:
            BusUnavailableError: a leader did not answer.
        """
        floor = (await self.consumer(durable))["ack_floor"]["stream_seq"]
        call = f"STREAM.MSG.GET.{durable.stream.name}"
        answers = await _together(self._api(call, {"seq": n}) for n in _ever_fewer(floor, most))
        # Those without a message have expired.
        return [_stored(answer["message"]) for answer in answers if "message" in answer]

    async def _api(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        payload = json.dumps(body).encode() if body else b""
        try:
            reply = await self._client.request(f"$JS.API.{call}", payload, timeout=TIMEOUT)
        except nats.errors.Error as failure:
            raise BusUnavailableError(f"{call}: {failure}") from failure
        answer: dict[str, Any] = json.loads(reply.data)
        error = answer.get("error")
        if error and error.get("err_code") != NO_MESSAGE:
            raise BusUnavailableError(f"{call}: {error.get('description')}")
        return answer


async def _together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all *calls* return, in their order; raises what the first of them raises that fails."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


def _stored(message: dict[str, Any]) -> StoredMessage:
    return StoredMessage(base64.b64decode(message.get("data", "")), rfc3339_ms(message["time"]))


def _ever_fewer(newest: int, most: int) -> Iterator[int]:
    """Sequences from *newest* down to 1: *most* of them in a row, then with growing steps."""
    distance = 0
    while distance < newest:
        yield newest - distance
        distance += 1 if distance < most - 1 else max(1, distance // 2)


def leads_a_majority(info: dict[str, Any]) -> bool:
    """Whether the leader that said *info* of its stream has heard from most copies just now."""
    followers = (info.get("cluster") or {}).get("replicas") or []
    # 0: never heard of since it leads.
    heard = [f for f in followers if 0 < f.get("active", 0) <= LEADER_SILENCE_NS]
    copies: int = info["config"].get("num_replicas", 1)
    return len(heard) >= copies // 2


def rfc3339_ms(text: str) -> int:
    """Milliseconds of NATS's nanosecond timestamps, which datetime cannot parse whole."""
    whole, _, rest = text.rstrip("Z").partition(".")
    millis = (rest + "000")[:3]
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1000 + int(millis)
