"""A catalogue that was in force and is not kept any more: DOCUMENT was lost, or put back from an older copy.

Nobody writes it again: only an operator may. An edge that starts then goes by its own services.yaml, which may
let more people in than what was applied; so whoever looks is told.
"""

from collections.abc import Sequence

from ctl.output import one_line
from ctl.session import Session
from latchwire.documents import CATALOGUE, Document, read_document
from shared.bus import BusUnavailableError
from shared.bus.documents import DocumentStore
from shared.bus.gather import gather
from shared.bus.streams import Difference
from shared.contract import DOCUMENT, OP_DOCTOR_FACTS, Role
from shared.messages import AskFacts, EdgeList, WorkerFacts
from shared.secrets import SecretsError, load_operator_keys

ASK_SECONDS = 0.5  # each process answers at once
CURE = (
    "compare it with what is meant (`latchwire catalogue routes`), then `latchwire catalogue apply`"
)
NO_DOCUMENT = (
    "no catalogue document: an edge goes by its own services.yaml, also where another was applied; "
    f"{CURE}"
)


async def generation_of_auth(session: Session) -> int:
    """The greatest generation of the catalogue that a process of auth goes by; 0 where none says.

    Raises:
        BusUnavailableError: not connected.
    """
    told: list[int] = []

    def heard(facts: WorkerFacts) -> bool:
        told.append(facts.catalogue_generation)
        return False

    question, call = OP_DOCTOR_FACTS.of(Role.AUTH.value), AskFacts(roll_call=True)
    await gather(session.bus, question, call, heard=heard, within=ASK_SECONDS)
    return max(told, default=0)


async def kept_generation(session: Session) -> int | None:
    """Of the newest genuine catalogue in DOCUMENT, 0 for none; None where nobody can say."""
    try:
        operators = load_operator_keys(session.installation.secrets_dir)
        stored = await DocumentStore(session.bus.client, session.bus.js).kept(CATALOGUE)
    except (BusUnavailableError, SecretsError):
        return None
    read = (read_document(each.jws, operators, name=CATALOGUE) for each in stored)
    return max((found.generation for found in read if isinstance(found, Document)), default=0)


def lost(kept: int | None, auth: int, told: EdgeList) -> list[str]:
    """The line that says so where somebody remembers a later catalogue than is *kept*; else nothing."""
    remembered = {e.beat.edge_id: e.beat.catalogue_generation for e in told.edges}
    remembered[Role.AUTH.value] = auth
    newest = max(remembered.values())
    if kept is None or newest <= kept:
        return []
    who = ", ".join(one_line(name) for name, has in remembered.items() if has == newest)
    there = f"ends with generation {kept}" if kept else "has none"
    what = f"the catalogue in force is lost: {who} has generation {newest}, and stream {DOCUMENT.name} {there}"
    then = "that" if kept else "its own services.yaml"
    return [f"{what}. An edge that starts goes by {then}: {CURE}"]


def lost_with(differences: Sequence[Difference], streams: int) -> list[str]:
    """The warning of `streams apply` that found no DOCUMENT, but others of so many *streams*."""
    absent = {d.what for d in differences if d.what.startswith("stream ") and d.found == "absent"}
    return [NO_DOCUMENT] if f"stream {DOCUMENT.name}" in absent and len(absent) < streams else []
