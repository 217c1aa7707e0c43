"""What an operator asks of JetStream: each stream of the contract and each consumer, in numbers."""

from dataclasses import dataclass

import nats.errors
from nats.js.errors import APIError, NotFoundError

from shared import contract
from shared.bus.connection import Bus
from shared.bus.errors import BusUnavailableError


@dataclass(frozen=True)
class StreamFacts:
    """A stream as it is; None of it when it is missing."""

    name: str
    present: bool
    messages: int = 0
    bytes: int = 0
    last_seq: int = 0


@dataclass(frozen=True)
class ConsumerFacts:
    """A consumer as it is: *waiting* never delivered yet, *in_flight* delivered and not acknowledged."""

    name: str
    stream: str
    present: bool
    waiting: int = 0
    in_flight: int = 0
    redelivered: int = 0


async def stream_facts(bus: Bus, stream: contract.Stream) -> StreamFacts:
    """The numbers of *stream*.

    Raises:
        BusUnavailableError: JetStream did not answer.
    """
    try:
        state = (await bus.js.stream_info(stream.name)).state
    except NotFoundError:
        return StreamFacts(stream.name, present=False)
    except (nats.errors.Error, APIError) as error:
        raise BusUnavailableError(str(error)) from error
    return StreamFacts(stream.name, True, state.messages, state.bytes, state.last_seq)


async def dead_letters(bus: Bus) -> dict[str, int]:
    """How many messages rest where no retry helps, by subject.

    Raises:
        BusUnavailableError: JetStream did not answer.
    """
    try:
        info = await bus.js.stream_info(contract.DEADLETTER.name, subjects_filter=">")
    except NotFoundError:
        return {}
    except (nats.errors.Error, APIError) as error:
        raise BusUnavailableError(str(error)) from error
    return dict(sorted((info.state.subjects or {}).items()))


async def consumer_facts(bus: Bus, durable: contract.Durable) -> ConsumerFacts:
    """The numbers of *durable*.

    Raises:
        BusUnavailableError: JetStream did not answer.
    """
    stream = durable.stream.name
    try:
        info = await bus.js.consumer_info(stream, durable.name)
    except NotFoundError:
        return ConsumerFacts(durable.name, stream, present=False)
    except (nats.errors.Error, APIError) as error:
        raise BusUnavailableError(str(error)) from error
    return ConsumerFacts(
        durable.name,
        stream,
        True,
        waiting=info.num_pending or 0,
        in_flight=info.num_ack_pending or 0,
        redelivered=info.num_redelivered or 0,
    )
