"""NATS accounts and permissions, rendered from the contract: each credential can do what its rows say.

Edges live in an account of their own. Of CORE they see exactly the deltas, direct get, the leader's
answer, stream info and the freshness probe; JetStream's API is imported under ``CORE.API`` because an
un-renamed import is taken for the edge account's own (missing) JetStream.
"""

from dataclasses import dataclass, field

from shared import contract
from shared.contract import Durable, Role

CORE = "CORE"
EDGE = "EDGE"
API = "$JS.API"
EDGE_API = "CORE.API"
EDGE_PREFIX = "edge"
SERVICE_PREFIX = "service-"
SERVICE_REPLIES = "_R_.>"  # where the server takes answers to questions from another account
READS = ("DIRECT.GET", "STREAM.MSG.GET", "STREAM.INFO")
# What a reader of the feed reads: the records, their binary copies, and the signed documents.
FEED_STREAMS = (contract.BLOCKLIST, contract.SNAPSHOT, contract.DOCUMENT)
FEED_DELTAS = (f"{contract.BLOCKLIST_DELTAS}.*", f"{contract.DOCUMENT_DELTAS}.*")
# Guests live in the account EDGE: of CORE they see the feed, and services what becomes of accounts.
GUESTS = (Role.EDGE, Role.SERVICE)
EDGE_ANSWERS = tuple(q for q in contract.QUESTIONS if set(GUESTS) & set(q.answers))
TOLD_TO_GUESTS = (
    *FEED_DELTAS,
    *(s.name for s in contract.SUBJECTS if Role.SERVICE in s.consumers),
)
# What an edge says on a subject that ends in its name.
EDGE_SPEAKS = tuple(s.name for s in contract.SUBJECTS if s.producers == (Role.EDGE,))
# A responder may publish one reply, soon: enough for request/reply, useless for anything else.
ALLOW_RESPONSES = '{ max: 1, expires: "10s" }'


@dataclass
class Permissions:
    """What one credential may publish and subscribe to."""

    publish: list[str] = field(default_factory=list)
    subscribe: list[str] = field(default_factory=list)
    responds: bool = False


def role_of(name: str) -> Role:
    """The role of credential *name*: the role's own name, ``edge…`` for an edge, ``service-…`` for a service.

    Raises:
        ValueError: no such role.
    """
    if name.startswith(SERVICE_PREFIX):
        return Role.SERVICE
    return Role.EDGE if name.startswith(EDGE_PREFIX) else Role(name)


def service_name(credential: str) -> str:
    """What a service's credential may say after ``token.revoked.by.``: its name without ``service-``."""
    return credential.removeprefix(SERVICE_PREFIX)


def permissions_of(name: str) -> Permissions:
    """The permissions of credential *name*, from the contract's tables."""
    role = role_of(name)
    allowed = Permissions(subscribe=[f"_INBOX_{name}.>"])
    _grant_subjects(allowed, role, name)
    _grant_questions(allowed, role, name)
    _grant_blocklist(allowed, role)
    for durable in contract.DURABLES:
        if durable.role is role:
            allowed.publish += _durable_grants(durable)
        if durable.role is role is Role.REVOCATION:
            allowed.publish.append(f"{API}.STREAM.INFO.{durable.stream.name}")
    if role is Role.OPERATOR:
        allowed.publish += [f"{API}.STREAM.INFO.*", f"{API}.CONSUMER.INFO.*.*"]
    if role is Role.PROVISIONER:
        allowed.publish += _provisioner_grants()
    allowed.publish = sorted(set(allowed.publish))
    allowed.subscribe = sorted(set(allowed.subscribe))
    return allowed


def render_accounts(public_keys: dict[str, str]) -> str:
    """The ``accounts`` block of the server's configuration for the credentials in *public_keys*."""
    core = [n for n in sorted(public_keys) if role_of(n) not in GUESTS]
    edges = [n for n in sorted(public_keys) if role_of(n) in GUESTS]
    return "\n".join(
        [
            "# Rendered from shared/contract.py: edit that, not this.",
            "accounts {",
            f"  {CORE} {{",
            "    jetstream: enabled",
            *_users(core, public_keys),
            *_core_exports(),
            "  }",
            f"  {EDGE} {{",
            *_users(edges, public_keys),
            *_edge_imports(),
            "  }",
            "}",
            "",
        ]
    )


def _grant_subjects(allowed: Permissions, role: Role, name: str) -> None:
    by_durable = {d.filter_subject for d in contract.DURABLES if d.role is role}
    own_tokens = {
        **dict.fromkeys(EDGE_SPEAKS, name),
        contract.TOKEN_REVOKED_BY.name: service_name(name),
    }
    for subject in contract.SUBJECTS:
        if role in subject.producers:
            token = own_tokens.get(subject.name)
            allowed.publish.append(subject.of(token).name if token else subject.name)
        if role in subject.consumers and subject.name not in by_durable:
            allowed.subscribe.append(subject.name)


def _grant_questions(allowed: Permissions, role: Role, name: str) -> None:
    for question in contract.QUESTIONS:
        if role in question.asks:
            allowed.publish.append(question.name)
        if role in question.answers:
            # Both forms: NATS checks a queue subscription against the plain subject.
            own = question.of(service_name(name)) if question.name.endswith(".*") else question
            allowed.subscribe.append(own.name)
            _grant_replies(allowed, role)


def _grant_replies(allowed: Permissions, role: Role) -> None:
    if role in GUESTS:
        # Not leave to answer whatever it hears, so that a stolen edge cannot vouch to its siblings:
        # questions from CORE arrive under this prefix, those of siblings never do.
        allowed.publish.append(SERVICE_REPLIES)
    else:
        allowed.responds = True


def _grant_blocklist(allowed: Permissions, role: Role) -> None:
    if role in contract.BLOCKLIST_READERS:
        prefix = EDGE_API if role in GUESTS else API
        allowed.publish += [f"{prefix}.{r}.{s.name}" for s in FEED_STREAMS for r in READS]
        allowed.subscribe += FEED_DELTAS
    if role is contract.SNAPSHOT_WRITER:
        allowed.publish += [contract.SNAPSHOT_HEAD, contract.SNAPSHOT_PARTS]
    allowed.publish += [d for d, writer in contract.DOCUMENT_WRITERS.items() if role is writer]
    if role is contract.BLOCKLIST_STATE_WRITER:
        allowed.publish.append(f"{contract.BLOCKLIST_STATE}.*")


def _durable_grants(durable: Durable) -> list[str]:
    stream, name = durable.stream.name, durable.name
    return [
        f"{API}.CONSUMER.INFO.{stream}.{name}",
        f"{API}.CONSUMER.MSG.NEXT.{stream}.{name}",
        f"{API}.CONSUMER.PAUSE.{stream}.{name}",
        f"{API}.STREAM.MSG.GET.{stream}",
        f"$JS.ACK.{stream}.{name}.>",
        f"$JS.ACK.*.*.{stream}.{name}.>",
    ]


def _provisioner_grants() -> list[str]:
    calls = ["STREAM.CREATE.*", "STREAM.UPDATE.*", "STREAM.INFO.*", "STREAM.NAMES", "INFO"]
    consumers = ["CONSUMER.CREATE.>", "CONSUMER.DURABLE.CREATE.*.*", "CONSUMER.INFO.*.*"]
    # Made anew so that TOKEN is replayed into a BLOCKLIST that was lost.
    consumers += [
        f"CONSUMER.DELETE.{durable.stream.name}.{durable.name}"
        for durable in (contract.REVOCATION, contract.REVOCATION_BY)
    ]
    consumers += [f"CONSUMER.DELETE.{stream}.{name}" for stream, name in contract.RETIRED]
    # What a stolen service credential, or a guest's borrowed answers, left in the stream of services.
    consumers.append(f"STREAM.PURGE.{contract.TOKEN_BY.name}")
    return [f"{API}.{call}" for call in (*calls, *consumers)]


def _users(names: list[str], public_keys: dict[str, str]) -> list[str]:
    lines = ["    users: ["]
    for name in names:
        allowed = permissions_of(name)
        lines += [
            f"      # {name}",
            f"      {{ nkey: {public_keys[name]}, permissions: {{",
            f"        publish: {{ allow: {_list(allowed.publish)} }}",
            f"        subscribe: {{ allow: {_list(allowed.subscribe)} }}",
            *([f"        allow_responses: {ALLOW_RESPONSES}"] if allowed.responds else []),
            "      } }",
        ]
    return [*lines, "    ]"]


def _core_exports() -> list[str]:
    exports = [f'{{ stream: "{told}", accounts: [{EDGE}] }}' for told in TOLD_TO_GUESTS]
    exports += [
        f'{{ service: "{name}", response_type: {kind}, accounts: [{EDGE}] }}'
        for name, kind in _edge_services()
    ]
    imports = [
        *(f'{{ stream: {{ account: {EDGE}, subject: "{spoken}" }} }}' for spoken in EDGE_SPEAKS),
        *(
            f'{{ service: {{ account: {EDGE}, subject: "{question.name}" }} }}'
            for question in EDGE_ANSWERS
        ),
    ]
    return ["    exports: [", *_rows(exports), "    ]", "    imports: [", *_rows(imports), "    ]"]


def _edge_imports() -> list[str]:
    imports = [f'{{ stream: {{ account: {CORE}, subject: "{told}" }} }}' for told in TOLD_TO_GUESTS]
    imports += [
        f'{{ service: {{ account: {CORE}, subject: "{name}" }} }}'
        for name, _ in _edge_services()
        if not name.startswith(API)
    ]
    imports += [
        f'{{ service: {{ account: {CORE}, subject: "{name}" }}, to: "{name.replace(API, EDGE_API)}" }}'
        for name, _ in _edge_services()
        if name.startswith(API)
    ]
    exports = [
        *(f'{{ stream: "{spoken}", accounts: [{CORE}] }}' for spoken in EDGE_SPEAKS),
        *(f'{{ service: "{question.name}", accounts: [{CORE}] }}' for question in EDGE_ANSWERS),
    ]
    return ["    exports: [", *_rows(exports), "    ]", "    imports: [", *_rows(imports), "    ]"]


def _edge_services() -> list[tuple[str, str]]:
    api = [(f"{API}.{read}.{stream.name}", "stream") for stream in FEED_STREAMS for read in READS]
    asked = (contract.BLOCKLIST_PROBE.name, contract.TOKEN_REVOKED_BY.name)
    return [*((name, "singleton") for name in asked), *api]


def _rows(rows: list[str]) -> list[str]:
    return [f"      {row}" for row in rows]


def _list(subjects: list[str]) -> str:
    return "[" + ", ".join(f'"{s}"' for s in subjects) + "]"
