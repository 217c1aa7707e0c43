"""Every credential is tried on every subject: what the contract grants works, all else is denied.

The expectation is written out here by hand, not derived by the renderer under test.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.aio.client import Client

from shared import contract
from shared.bus.permissions import EDGE_API, role_of
from shared.contract import Role
from tests.support.servers import CREDENTIALS, NatsServer

STREAMS = [s.name for s in contract.STREAMS]
FEED_CALLS = ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET")
FEED_STREAMS = ("BLOCKLIST", "SNAPSHOT", "DOCUMENT")
FEED_READS = [f"{call}.{stream}" for call in FEED_CALLS for stream in FEED_STREAMS]
FEED_DELTAS = {"blocklist.jx", "documents.keys"}
ACCOUNT_FACTS = {
    "user.registered", "user.verified", "user.password_changed", "user.roles_changed", "user.deleted",
}  # fmt: skip
OWNED = {
    "mailer": [("LOGIN", "mailer")],
    "revocation": [
        ("TOKEN", "revocation"),
        ("TOKEN_BY", "revocation-by"),
    ],
}
DESTRUCTIVE = [
    "DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE",
]  # fmt: skip


def stored_subjects() -> list[str]:
    """Every fact of the contract, with its wildcard filled in."""
    return [s.name.replace("*", "x") for s in contract.SUBJECTS if s.stored]


def api_subjects() -> list[str]:
    """JetStream's API, the harmless and the destructive calls, on every stream and consumer."""
    calls = ["STREAM.CREATE", "STREAM.UPDATE", "STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET"]
    calls += [f"STREAM.{call}" for call in DESTRUCTIVE]
    subjects = [f"$JS.API.{call}.{stream}" for call in calls for stream in STREAMS]
    for pair in [*OWNED["mailer"], *OWNED["revocation"], ("TOKEN", "other")]:
        stream, name = pair
        subjects += [
            f"$JS.API.CONSUMER.{call}.{stream}.{name}"
            for call in ("CREATE", "DURABLE.CREATE", "DELETE", "INFO", "MSG.NEXT", "PAUSE")
        ]
        subjects.append(f"$JS.ACK.{stream}.{name}.1.1.1.1.0")
    return subjects


def all_subjects() -> list[str]:
    """Everything anybody could think of publishing to."""
    questions = [q.name.replace("*", "edge-1") for q in contract.QUESTIONS]
    heartbeats = [f"edge.heartbeat.{n}" for n in ("edge-1", "edge-2")]
    heartbeats += [f"edge.usage.{n}" for n in ("edge-1", "edge-2")]
    inboxes = [f"_INBOX_{name}.x" for name in CREDENTIALS]
    edge_api = [f"{EDGE_API}.{call}.{s}" for call in FEED_CALLS for s in STREAMS]
    rest = [
        "bl.jx", "blocklist.jx", "token.revoked.by.billing", "token.revoked.by.shop", "$SYS.REQ.SERVER.PING",
        "snapshot.head", "snapshot.x.1", "document.keys", "document.catalogue", "document.edges",
        "document.tokens", "document.other", "documents.keys", "foo", "revocation.applied.x", "user.erase.shop",
        "user.erase.billing", "op.doctor.facts.auth", "op.doctor.facts.mailer", "op.doctor.facts.revocation",
    ]  # fmt: skip
    return [
        *stored_subjects(), *questions, *heartbeats, *inboxes, *edge_api, *rest, *api_subjects(),
    ]  # fmt: skip


def may_publish(name: str) -> set[str]:
    """What *name* may publish, by hand."""
    by_hand: dict[str, set[str]] = {
        "auth": {
            "login.requested", "login.succeeded", "login.failed", *ACCOUNT_FACTS, "user.erase.shop",
            "user.erase.billing", "user.erase.edge-1", "token.revoked", "revocation.probe",
            "revocation.receipts", "document.tokens", "service_token.issued", "op.edges.list",
        },
        "mailer": {"mail.sent", "mail.failed", "deadletter.login.x"},
        "revocation": {
            "deadletter.token.x", "bl.jx", "snapshot.head", "snapshot.x.1", "revocation.applied.x",
        },
        "service-shop": {"revocation.probe", "token.revoked.by.shop"},
        "edge-1": {"revocation.probe", "edge.heartbeat.edge-1", "edge.usage.edge-1"},
        "edge-2": {"revocation.probe", "edge.heartbeat.edge-2", "edge.usage.edge-2"},
        "operator": {
            "token.revoked", "revocation.probe", "op.edges.list", "op.token.explain", "op.users.set",
            "op.token.explain.edge-1", "op.users.show", "op.revocation.match", "revocation.receipts",
            "document.keys", "document.catalogue", "document.edges", "key.rotated", "op.users.list",
            "op.users.roles", "op.users.import", "op.users.export", "op.deletions.list", "op.tokens.list",
            "op.tokens.create", "op.doctor.facts.edge-1", "op.doctor.edge.edge-1",
            "op.doctor.facts.auth", "op.doctor.facts.mailer", "op.doctor.facts.revocation",
        },
        "provisioner": set(),
    }  # fmt: skip
    return by_hand[name] | _api_of(name)


def _api_of(name: str) -> set[str]:
    role = role_of(name)
    allowed: set[str] = set()
    if role in (Role.EDGE, Role.SERVICE):
        allowed |= {f"{EDGE_API}.{read}" for read in FEED_READS}
    if role in (Role.AUTH, Role.REVOCATION, Role.OPERATOR):
        allowed |= {f"$JS.API.{read}" for read in FEED_READS}
    for stream, durable in OWNED.get(name, []):
        allowed |= {
            f"$JS.API.CONSUMER.{c}.{stream}.{durable}" for c in ("INFO", "MSG.NEXT", "PAUSE")
        }
        allowed |= {f"$JS.ACK.{stream}.{durable}.1.1.1.1.0", f"$JS.API.STREAM.MSG.GET.{stream}"}
    if (
        role is Role.REVOCATION
    ):  # how far what it consumes has come, by its leader's word (adr/0015)
        allowed |= {f"$JS.API.STREAM.INFO.{stream}" for stream, _ in OWNED[name]}
    if role is Role.OPERATOR:
        allowed |= {
            s for s in api_subjects() if re.match(r"\$JS\.API\.(STREAM|CONSUMER)\.INFO\.", s)
        }
    if role is Role.PROVISIONER:
        calls = (
            r"\$JS\.API\.(STREAM\.(CREATE|UPDATE|INFO)|CONSUMER\.(CREATE|DURABLE\.CREATE|INFO))\."
        )
        allowed |= {s for s in api_subjects() if re.match(calls, s)}
        allowed.add("$JS.API.CONSUMER.DELETE.TOKEN.revocation")  # to have TOKEN replayed
        allowed.add("$JS.API.CONSUMER.DELETE.TOKEN_BY.revocation-by")
        allowed.add("$JS.API.STREAM.PURGE.TOKEN_BY")  # what a flood left there
    return allowed


def may_subscribe(name: str) -> set[str]:
    """What *name* may hear, by hand."""
    by_hand: dict[str, set[str]] = {
        "auth": {
            "op.users.set", "op.users.show", "op.users.list", "op.users.roles", "op.users.import",
            "op.users.export", "op.deletions.list", "op.revocation.match", "revocation.applied.x",
            "op.tokens.list", "op.tokens.create", "edge.usage.edge-1", "edge.usage.edge-2",
            "op.doctor.facts.auth", *FEED_DELTAS,
        },
        "mailer": {"op.doctor.facts.mailer"},
        "revocation": {
            "revocation.probe", "revocation.receipts", "op.edges.list", "edge.heartbeat.edge-1",
            "edge.heartbeat.edge-2", "op.doctor.facts.revocation", *FEED_DELTAS,
        },
        "edge-1": {"op.token.explain", "op.token.explain.edge-1", "op.doctor.edge.edge-1", *FEED_DELTAS},
        "edge-2": {"op.token.explain", *FEED_DELTAS},
        "service-shop": {*FEED_DELTAS, *ACCOUNT_FACTS, "user.erase.shop"},
        "operator": {
            *stored_subjects(), "edge.heartbeat.edge-1", "edge.heartbeat.edge-2", "revocation.applied.x",
            "token.revoked.by.billing", "token.revoked.by.shop", *FEED_DELTAS,
        },
        "provisioner": set(),
    }  # fmt: skip
    return by_hand[name] | {f"_INBOX_{name}.x"}


@asynccontextmanager
async def watched(server: NatsServer, name: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A bare client as credential *name*, and the subjects it was denied."""
    denied: list[str] = []

    async def failed(error: Exception) -> None:
        found = re.search(
            r'permissions violation for (?:publish|subscription) to "([^"]+)"', str(error)
        )
        if found:
            denied.append(found.group(1))

    client = await nats.connect(
        server.url, nkeys_seed_str=server.seed(name), inbox_prefix=f"_INBOX_{name}", error_cb=failed
    )
    try:
        yield client, denied
    finally:
        await client.close()


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_a_credential_publishes_its_rows_and_nothing_else(
    nats_server: NatsServer, name: str
) -> None:
    """Publishing anything outside the contract is denied by the server itself."""
    async with watched(nats_server, name) as (client, denied):
        for subject in all_subjects():
            await client.publish(subject, b"{}")
        await client.flush()
        await client.flush()

    expected = {s for s in all_subjects() if s not in may_publish(name)}
    assert set(denied) == {s.lower() for s in expected}


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_a_credential_hears_its_rows_and_nothing_else(
    nats_server: NatsServer, name: str
) -> None:
    """Subscribing to anything outside the contract, another's inbox included, is denied."""
    wide = [">", "*.>", "$JS.>", "_INBOX.>", "login.>", "token.>"]
    async with watched(nats_server, name) as (client, denied):
        for subject in [*all_subjects(), *wide]:
            await client.subscribe(subject)
        await client.flush()
        await client.flush()

    expected = {s for s in [*all_subjects(), *wide] if s not in may_subscribe(name)}
    assert set(denied) == {s.lower() for s in expected}


async def test_a_wrong_key_is_refused(nats_server: NatsServer) -> None:
    """A credential that is not in the accounts cannot connect."""
    from shared.secrets import new_seed

    async def failed(_error: Exception) -> None:
        return

    with pytest.raises(nats.errors.Error):
        await nats.connect(
            nats_server.url, nkeys_seed_str=new_seed(), allow_reconnect=False, error_cb=failed
        )
