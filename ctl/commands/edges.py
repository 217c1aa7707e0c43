"""``edges list``: who is there, and how fresh."""

import argparse

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.heartbeats import RollCall
from ctl.output import date_time, one_line, say, say_json, table
from ctl.session import Session, operate
from shared.bus import Position
from shared.contract import BLOCKLIST
from shared.messages import Heartbeat

UNPROVEN_MS = 2**31 - 1  # what an edge says before its first proof


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``edges list``."""
    parser = add_command(commands, "edges", "the edges on the bus")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_command(actions, "list", "each live edge: ready, how far, how fresh")
    listing.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when edges were heard and all are ready, else 1."""
    return operate(arguments, _list)


async def _list(session: Session) -> int:
    roll = RollCall(session.clock)
    await roll.start(session.bus)
    await roll.complete()
    position = await session.bus.stream_position(BLOCKLIST)
    beats = [edge.last for _, edge in sorted(roll.edges.items())]
    if session.json:
        rows = [b.model_dump() | {"state": state_of(b, position)} for b in beats]
        say_json({"epoch": position.epoch, "last_seq": position.last_seq, "edges": rows})
    else:
        say(edge_table(beats, position) if beats else "no edge is heard on the bus")
    return exits.DONE if beats and all(beat.ready for beat in beats) else exits.FAILED


def state_of(beat: Heartbeat, position: Position) -> str:
    """One word for an edge."""
    if beat.epoch != position.epoch:
        return "other epoch"
    return "ready" if beat.ready else "refusing"


def edge_table(beats: list[Heartbeat], position: Position) -> str:
    """The edges as a table."""
    heading = ("EDGE", "STATE", "SEQ", "BEHIND", "STALENESS", "RECORDS", "SINCE")
    rows = [
        (
            one_line(beat.edge_id),
            state_of(beat, position),
            beat.seq,
            max(0, position.last_seq - beat.seq),
            f"{beat.staleness_ms} ms" if beat.staleness_ms < UNPROVEN_MS else "unproven",
            beat.blocklist_size,
            date_time(beat.started_at) if beat.started_at else "-",
        )
        for beat in beats
    ]
    return table([heading, *rows])
