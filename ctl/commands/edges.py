"""``edges list``: who is there, how fresh, and by which documents; `ctl.commands.edge_keys` adds their keys."""

import argparse

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.commands import edge_keys
from ctl.heartbeats import live_edges
from ctl.output import complain, date_time, one_line, say, say_json, table
from ctl.session import Session, operate
from shared.bus import Position
from shared.contract import BLOCKLIST
from shared.messages import EdgeList, SeenEdge

SILENT_MS = 3_000  # edges beat once a second
GENERATIONS = (
    ("keys", "keys_generation"),
    ("catalogue", "catalogue_generation"),
    ("edges' keys", "edges_generation"),
    ("service tokens", "tokens_generation"),
)
UNPROVEN_MS = 2**31 - 1  # what an edge says before its first proof


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``edges``."""
    parser = add_command(commands, "edges", "the edges on the bus")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_command(actions, "list", "each live edge: ready, how far, how fresh")
    listing.set_defaults(run=run)
    edge_keys.register(actions)


def run(arguments: argparse.Namespace) -> int:
    """0 when edges were heard and all are ready, else 1."""
    return operate(arguments, _list)


async def _list(session: Session) -> int:
    told = await live_edges(session.bus, session.clock)
    position = await session.bus.stream_position(BLOCKLIST)
    if session.json:
        end = {"epoch": position.epoch, "last_seq": position.last_seq}
        say_json({**end, "whole": told.whole, **roll_of(told, position)})
    else:
        known = told.edges or told.missing or told.gone
        say(edge_table(told, position) if known else "no edge is heard on the bus")
        for line in [*missing_of(told), *warnings_of(told)]:
            complain(f"! {line}")
    return exits.FAILED if problems_of(told) else exits.DONE


def problems_of(told: EdgeList) -> list[str]:
    """What an operator has to look at, one line each."""
    edges = told.edges
    if not edges:
        return ["no edge is heard", *missing_of(told)]
    silent = [
        f"edge {one_line(e.beat.edge_id)} is silent for {e.age_ms / 1000:.0f} s, and may still let people in"
        for e in edges
        if e.age_ms > SILENT_MS
    ]
    refusing = [f"edge {one_line(e.beat.edge_id)} refuses" for e in edges if not e.beat.ready]
    return silent + missing_of(told) + refusing


def missing_of(told: EdgeList) -> list[str]:
    """Who was named and is not there, one line each."""
    return [
        f"edge {one_line(name)} is missing: LATCHWIRE_EDGES names it, and it is not heard"
        for name in told.missing
    ]


def warnings_of(told: EdgeList) -> list[str]:
    """What is wrong with the names; and what edges go by differently: a document is on its way, or refused."""
    edges = told.edges
    behind = [
        f"edge {one_line(e.beat.edge_id)} goes by generation {getattr(e.beat, field)} of the {name}, "
        f"another by {newest}"
        for name, field in GENERATIONS
        for newest in [max((getattr(e.beat, field) for e in edges), default=0)]
        for e in edges
        if getattr(e.beat, field) < newest and e.age_ms <= SILENT_MS
    ]
    gone = [
        f"edge {one_line(e.edge_id)} was heard {e.age_ms // 60_000} min ago, and has closed: is it down, or "
        "taken away? LATCHWIRE_EDGES says which there should be"
        for e in told.gone
    ]
    return _misnamed(told) + gone + behind


def _misnamed(told: EdgeList) -> list[str]:
    unnamed = [
        f"edge {one_line(name)} is not in LATCHWIRE_EDGES, which has to name all: until it does, new routes "
        f"and receipts wait for {told.window_ms / 1000:.0f} s after a revocation worker's start"
        for name in told.unnamed
    ]
    shared = [
        f"two processes say that they are {one_line(name)}, and count as one edge: give each its own "
        "LATCHWIRE_EDGE_ID and credential, or end the older one"
        for name in told.twice
    ]
    return unnamed + shared


def roll_of(told: EdgeList, position: Position) -> dict[str, object]:
    """The edges for machines: those that are live, and how they differ from those that were named."""
    return {
        "edges": [
            e.beat.model_dump() | {"state": state_of(e, position), "age_ms": e.age_ms}
            for e in told.edges
        ],
        "missing": list(told.missing),
        "unnamed": list(told.unnamed),
        "twice": list(told.twice),
        "gone": [gone.model_dump() for gone in told.gone],
    }


def state_of(edge: SeenEdge, position: Position) -> str:
    """One word for an edge. Without an epoch to compare, its own or BLOCKLIST's, none is another."""
    beat = edge.beat
    if edge.age_ms > SILENT_MS:
        return "silent"
    if beat.epoch and position.epoch and beat.epoch != position.epoch:
        return "other epoch"
    if not beat.ready and beat.max_staleness_ms < beat.staleness_ms < UNPROVEN_MS:
        return "stale"
    return "ready" if beat.ready else "refusing"


def edge_table(told: EdgeList, position: Position) -> str:
    """The edges as a table, the missing and the gone ones at its end."""
    heading = (
        "EDGE", "STATE", "SEQ", "BEHIND", "STALENESS", "RECORDS", "KEYS", "CATALOGUE", "SINCE", "HEARD",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = [
        (
            one_line(beat.edge_id),
            state_of(edge, position),
            beat.seq,
            max(0, position.last_seq - beat.seq) if position.epoch else "-",
            f"{beat.staleness_ms} ms" if beat.staleness_ms < UNPROVEN_MS else "unproven",
            beat.blocklist_size,
            beat.keys_generation,
            beat.catalogue_generation,
            date_time(beat.started_at) if beat.started_at else "-",
            f"{edge.age_ms / 1000:.1f} s ago",
        )
        for edge, beat in ((edge, edge.beat) for edge in told.edges)
    ]
    rows += [(one_line(name), "missing", *"-" * (len(heading) - 2)) for name in told.missing]
    rows += [
        (one_line(e.edge_id), "gone", *"-" * (len(heading) - 3), f"{e.age_ms / 1000:.0f} s ago")
        for e in told.gone
    ]
    return table([heading, *rows])
