"""``status``: streams, consumers, edges, freshness and dead letters on one screen."""

import argparse
from dataclasses import asdict, dataclass

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.commands.edges import edge_table, problems_of, roll_of, warnings_of
from ctl.heartbeats import live_edges
from ctl.lost_catalogue import NO_DOCUMENT, kept_generation, lost
from ctl.output import say, say_json, table
from ctl.parts import AWAY, Part, ask_parts
from ctl.session import Session, operate
from shared import contract
from shared.bus import NoAnswerError, Position
from shared.bus.overview import (
    ConsumerFacts,
    StreamFacts,
    consumer_facts,
    dead_letters,
    stream_facts,
)
from shared.contract import Role
from shared.messages import EdgeList, Freshness, Probe

NO_PROOF = "no revocation worker proves that it is up to date: edges will close"
_MEANING = {
    "deadletter.token.": ": revocations that are not in force",
    "deadletter.login.": ": mails that were not sent",
}


@dataclass(frozen=True)
class Overview:
    """All that `status` knows. *freshness* is None when no revocation worker answers.

    *lost* says that a catalogue which was in force is not kept any more, and *kept* the generation that is (0:
    none, None: nobody can say). *by_up*: `up` runs it all, and publishes its file whenever that is saved.

    *parts*: what auth, the mailer and the revocation worker say of themselves.
    *dead_letters*: how many messages rest where no retry helps, by subject.
    """

    streams: list[StreamFacts]
    consumers: list[ConsumerFacts]
    told: EdgeList
    freshness: Freshness | None
    dead_letters: dict[str, int]
    kept: int | None = None
    lost: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    by_up: bool = False

    @property
    def position(self) -> Position:
        """BLOCKLIST's end as edges should know it."""
        if self.freshness is None:
            return Position("", 0, 0)
        return Position(self.freshness.epoch, 0, self.freshness.last_seq)

    @property
    def problems(self) -> list[str]:
        """What an operator has to look at, one line each."""
        missing = [f"stream {s.name} is missing" for s in self.streams if not s.present]
        missing += [f"consumer {c.name} is missing" for c in self.consumers if not c.present]
        if missing:
            missing.append("run `latchwire streams apply`")
        parts = [line for part in self.parts for line in part.problems]
        silent = [] if self.freshness or AWAY[Role.REVOCATION] in parts else [NO_PROOF]
        return missing + silent + parts + list(self.lost) + problems_of(self.told)

    @property
    def warnings(self) -> list[str]:
        """What happened and has to be looked at, though everything works."""
        letters = [
            f"{count} dead letters: {subject}{_meaning(subject)}"
            for subject, count in self.dead_letters.items()
        ]
        none = [NO_DOCUMENT] if self.kept == 0 and not (self.lost or self.by_up) else []
        notes = [line for part in self.parts for line in part.warnings]
        return letters + notes + none + warnings_of(self.told)


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``status``."""
    parser = add_command(commands, "status", "streams, consumers, edges and dead letters")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when there is no problem, else 1."""
    return operate(arguments, _status)


async def _status(session: Session) -> int:
    overview = await _look(session)
    if session.json:
        say_json(_as_json(overview))
    else:
        _tell(overview)
    return exits.FAILED if overview.problems else exits.DONE


async def _look(session: Session) -> Overview:
    streams = [await stream_facts(session.bus, stream) for stream in contract.STREAMS]
    consumers = [await consumer_facts(session.bus, durable) for durable in contract.DURABLES]
    freshness = await _freshness(session)
    told = await live_edges(session.bus, session.clock)
    parts = await ask_parts(session, Role.AUTH, Role.MAILER, Role.REVOCATION)
    auth = max((facts.catalogue_generation for facts in parts[0].told), default=0)
    # The last: whoever knows more than this did not learn it there.
    kept = await kept_generation(session)
    letters = await dead_letters(session.bus)
    gone = tuple(lost(kept, auth, told))
    by_up = session.installation.by_up
    return Overview(streams, consumers, told, freshness, letters, kept, gone, tuple(parts), by_up)


async def _freshness(session: Session) -> Freshness | None:
    try:
        return await session.bus.ask(contract.BLOCKLIST_PROBE, Probe())
    except NoAnswerError:
        return None


def _as_json(overview: Overview) -> dict[str, object]:
    return {
        "streams": [asdict(facts) for facts in overview.streams],
        "consumers": [asdict(facts) for facts in overview.consumers],
        **roll_of(overview.told, overview.position),
        "freshness": overview.freshness and overview.freshness.model_dump(),
        "dead_letters": sum(overview.dead_letters.values()),
        "warnings": overview.warnings,
        "problems": overview.problems,
    }


def _meaning(subject: str) -> str:
    return next((words for prefix, words in _MEANING.items() if subject.startswith(prefix)), "")


def _tell(overview: Overview) -> None:
    say(table([("STREAM", "MESSAGES", "BYTES", "LAST"), *_stream_rows(overview)]))
    say("")
    say(table([("CONSUMER", "WAITING", "IN FLIGHT", "AGAIN"), *_consumer_rows(overview)]))
    say("")
    if overview.told.edges or overview.told.missing or overview.told.gone:
        say(edge_table(overview.told, overview.position) + "\n")
    if overview.freshness:
        say(
            f"revocations waiting: {overview.freshness.backlog_ms} ms   epoch {overview.freshness.epoch}"
        )
    say(f"dead letters: {sum(overview.dead_letters.values())}")
    for problem in [*overview.problems, *overview.warnings]:
        say(f"! {problem}")


def _stream_rows(overview: Overview) -> list[tuple[object, ...]]:
    return [
        (s.name, s.messages, s.bytes, s.last_seq) if s.present else (s.name, "missing", "-", "-")
        for s in overview.streams
    ]


def _consumer_rows(overview: Overview) -> list[tuple[object, ...]]:
    return [
        (f"{c.stream}/{c.name}", *((c.waiting, c.in_flight, c.redelivered) if c.present else "?--"))
        for c in overview.consumers
    ]
