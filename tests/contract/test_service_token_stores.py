"""The register of service tokens (NATS and the fake), and the notes of their use (Redis and the fake)."""

import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from latchwire.documents import (
    MAX_GENERATION,
    TOKENS,
    Document,
    DocumentError,
    NotBelieved,
    read_document,
)
from latchwire.keys import KeyRing
from latchwire.tokens import TokenPolicy
from services.auth.adapters.document_registers import DocumentRegisters
from services.auth.adapters.live_tokens import LiveTokens
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.redis_token_uses import RedisTokenUses
from services.auth.ports.service_tokens import Registers, RegisterTooLargeError, TokenUses
from shared.bus import Bus
from shared.bus.documents import DocumentStore
from shared.clock import SystemClock
from shared.contract import DOCUMENT_TOKENS
from shared.messages.service_token import MAX_SCOPES
from shared.redis import connect_redis
from shared.secrets import load_signing_key, public_jwk, signing_paths, write_private
from shared.service_tokens import MAX_AHEAD_MS, tokens_body
from tests.conftest import BusFactory
from tests.support.fakes.service_tokens import FakeRegisters, FakeTokenUses
from tests.support.servers import make_nats
from tests.support.service_tokens import made_token
from tests.support.tokens import SigningKey, signing_key

BOT, TILL = made_token("bot").row, made_token("till", scopes=("orders.read",)).row
POLICY = TokenPolicy("http://localhost:8080", "latchwire")
NEW = signing_key("ES256", "new")


@dataclass
class Auth:
    """A process of auth, as far as the document is concerned."""

    bus: Bus
    signer: PyJWTTokens
    live: LiveTokens
    registers: DocumentRegisters

    @property
    def store(self) -> DocumentStore:
        return DocumentStore(self.bus.client, self.bus.js)

    def accepts_new(self, directory: Path, *, sign: bool, old_goes: str = "") -> None:
        """The operator's document: `NEW` counts too; with *sign* it signs; the old one is retired, or worse."""
        path = signing_paths(directory)[0]
        old = public_jwk(path.stem, load_signing_key(path))
        keys = [NEW.public_jwk()] if old_goes else [old, NEW.public_jwk()]
        former = [old] if old_goes == "retired" else []
        wanted = NEW.kid if sign else old["kid"]
        self.signer.follow({"keys": keys, "sign_with": wanted, "former": former}, 1)


async def auth_at(bus: Bus, directory: Path) -> Auth:
    """One that has just started."""
    signer, live = PyJWTTokens.load(directory, POLICY), LiveTokens(SystemClock())
    store = DocumentStore(bus.client, bus.js)
    return Auth(bus, signer, live, DocumentRegisters(store, signer, live, SystemClock()))


def put_new(directory: Path, key: SigningKey = NEW) -> None:
    """The private half of *key* is here."""
    pem = key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(directory / "signing" / f"{key.kid}.pem", pem.decode().strip())


@pytest.fixture(params=["fake", "nats"])
async def registers(
    request: pytest.FixtureRequest, secrets_dir: Path, tmp_path: Path
) -> AsyncIterator[Registers]:
    """Both implementations."""
    if request.param == "fake":
        yield FakeRegisters()
        return
    server = make_nats(tmp_path / "nats", secrets_dir)
    server.start()
    try:
        await server.provision()
        async with server.connect("auth") as bus:
            yield (await auth_at(bus, secrets_dir)).registers
    finally:
        server.kill()


async def test_what_is_written_is_read_and_each_generation_is_greater(registers: Registers) -> None:
    """An empty register is no error; a row is as it was."""
    empty = await registers.read()
    assert (empty.rows, empty.generation, empty.seq, empty.kid) == ((), 0, 0, "")
    first = await registers.write((BOT,), empty)
    assert first is not None
    second = await registers.write((BOT, TILL), first)
    assert second is not None
    assert second.generation > first.generation > 0
    assert await registers.read() == second
    assert (second.rows, second.kid) == ((BOT, TILL), registers.signs_with)


async def test_of_two_who_write_at_once_one_has_to_look_again(registers: Registers) -> None:
    """Compare and swap: nobody writes over what he has not seen."""
    seen = await registers.read()
    assert await registers.write((BOT,), seen) is not None
    assert await registers.write((TILL,), seen) is None
    assert (await registers.read()).rows == (BOT,)


async def test_more_than_the_stream_takes_is_not_written(registers: Registers) -> None:
    """It says so, and what was there stays."""
    if isinstance(registers, FakeRegisters):
        registers.room = 1
    scopes = tuple(f"s{n}".ljust(64, "x") for n in range(MAX_SCOPES))
    big = BOT.model_copy(update={"scopes": scopes})
    with pytest.raises(RegisterTooLargeError):
        await registers.write((big,) * 200, await registers.read())
    assert (await registers.read()).rows == ()


@pytest.fixture
async def auth(bus_of: BusFactory, secrets_dir: Path) -> Auth:
    """One process on real NATS."""
    return await auth_at(await bus_of("auth"), secrets_dir)


async def test_edges_believe_it_by_the_keys_of_access_tokens_alone(
    auth: Auth, secrets_dir: Path
) -> None:
    """Its type is a document's: nobody takes it for an access token, nor an access token for it."""
    await auth.registers.write((BOT,), await auth.registers.read())
    stored = (await auth.store.kept(TOKENS))[-1]
    ring = KeyRing.from_jwks((secrets_dir / "jwks.json").read_text("ascii"))
    operators = KeyRing.from_jwks((secrets_dir / "operator.jwks.json").read_text("ascii"))
    assert isinstance(read_document(stored.jws, ring, name=TOKENS), Document)
    assert isinstance(read_document(stored.jws, operators, name=TOKENS), NotBelieved)
    for other in ("keys", "catalogue", "edges"):
        assert isinstance(read_document(stored.jws, ring, name=other), NotBelieved)
    assert auth.signer.read(stored.jws.decode(), SystemClock().now_ms()) == "token_invalid"
    header: dict[str, Any] = json.loads(urlsafe_b64decode(stored.jws.split(b".")[0] + b"=="))
    assert header.keys() == {"alg", "typ", "kid"}


async def test_what_nobody_signed_is_passed_over(auth: Auth) -> None:
    """Whoever writes into the stream without the key changes nothing, and the next writer goes on."""
    first = await auth.registers.write((BOT,), await auth.registers.read())
    for forged in (b"", b"x", b"a.b.c", b"e30.e30.e30"):
        await auth.bus.js.publish(DOCUMENT_TOKENS, forged)
    read = await auth.registers.read()
    assert first is not None
    assert (read.rows, read.generation) == ((BOT,), first.generation)
    assert await auth.registers.write((BOT, TILL), read) is not None
    assert (await auth.registers.read()).rows == (BOT, TILL)


async def test_an_older_document_that_comes_again_changes_nothing(
    auth: Auth, bus_of: BusFactory, secrets_dir: Path
) -> None:
    """What was revoked does not come back by it, also for a process that has just started."""
    first = await auth.registers.write((BOT, TILL), await auth.registers.read())
    old = (await auth.store.kept(TOKENS))[-1]
    assert first is not None
    await auth.registers.write((TILL,), first)
    await auth.bus.js.publish(DOCUMENT_TOKENS, old.jws)
    assert (await auth.registers.read()).rows == (TILL,)
    fresh = await auth_at(auth.bus, secrets_dir)
    assert (await fresh.registers.read()).rows == (TILL,)


async def test_a_stream_that_was_lost_is_written_anew_from_memory(auth: Auth) -> None:
    """The tokens of services do not end because a disk did; and edges take the new generation."""
    await auth.registers.write((BOT,), await auth.registers.read())
    known = auth.live.generation
    auth.registers = DocumentRegisters(EmptyStore(), auth.signer, auth.live, SystemClock())  # type: ignore[arg-type]
    read = await auth.registers.read()
    assert (read.rows, read.seq, read.kid) == ((BOT,), 0, "")
    assert known == read.generation


class EmptyStore:
    """A stream that has lost everything."""

    async def kept(self, _name: str) -> list[object]:
        return []


async def test_another_key_signs_the_register_too(auth: Auth, secrets_dir: Path) -> None:
    """Still read while the former key is retired; once that was compromised, nobody vouches for its rows."""
    before = await auth.registers.write((BOT,), await auth.registers.read())
    assert before is not None
    put_new(secrets_dir)
    auth.accepts_new(secrets_dir, sign=True)
    assert auth.registers.signs_with == NEW.kid
    assert (await auth.registers.read()).kid == before.kid
    auth.accepts_new(secrets_dir, sign=True, old_goes="retired")
    assert (await auth.registers.read()).kid == before.kid
    auth.accepts_new(secrets_dir, sign=True, old_goes="compromised")
    read = await auth.registers.read()
    assert (read.rows, read.kid, read.voucher) == ((), "", before.kid)
    after = await auth.registers.write((TILL,), read)
    assert after is not None
    assert after.generation > before.generation
    assert (await auth.registers.read()).kid == NEW.kid
    started_only_now = await auth_at(auth.bus, secrets_dir)
    started_only_now.accepts_new(secrets_dir, sign=True, old_goes="compromised")
    assert (await started_only_now.registers.read()).rows == (TILL,)


@pytest.mark.parametrize("ahead_ms", [1, MAX_AHEAD_MS + 60_000, MAX_GENERATION])
async def test_a_thief_of_the_key_outlives_its_compromise_in_no_row_and_no_number(
    auth: Auth, secrets_dir: Path, ahead_ms: int
) -> None:
    """He writes a row of his own with the stolen key; auth's next document has it not, and is believed."""
    own = await auth.registers.write((BOT,), await auth.registers.read())
    assert own is not None
    generation = min(own.generation + ahead_ms, MAX_GENERATION)
    body = tokens_body((BOT, made_token("bot", scopes=("everything",)).row))
    payload = {"name": TOKENS, "generation": generation, "at": 1, "body": body}
    stolen = auth.signer.sign_document(payload)
    await auth.store.put(TOKENS, stolen, after_seq=own.seq)
    if ahead_ms == 1:
        auth.live.follow(body, generation, own.kid)
    else:
        with pytest.raises(DocumentError):
            auth.live.follow(body, generation, own.kid)
        assert (await auth.registers.read()).rows == (BOT,)
    put_new(secrets_dir)
    auth.accepts_new(secrets_dir, sign=True, old_goes="compromised")
    read = await auth.registers.read()
    assert read.rows == ()
    after = await auth.registers.write((TILL,), read)
    assert after is not None
    assert after.generation > (generation if ahead_ms == 1 else 0)
    assert after.generation < SystemClock().now_ms() + MAX_AHEAD_MS


async def test_what_only_a_compromised_key_vouches_for_is_not_believed(
    auth: Auth, secrets_dir: Path
) -> None:
    """A process that starts after that begins anew: whoever had the key could have written anything."""
    await auth.registers.write((BOT,), await auth.registers.read())
    put_new(secrets_dir)
    fresh = await auth_at(auth.bus, secrets_dir)
    fresh.accepts_new(secrets_dir, sign=True, old_goes="compromised")
    read = await fresh.registers.read()
    assert read.rows == ()
    assert await fresh.registers.write((TILL,), read) is not None
    assert (await fresh.registers.read()).rows == (TILL,)


@pytest.fixture(params=["fake", "redis"])
async def uses(request: pytest.FixtureRequest) -> AsyncIterator[TokenUses]:
    """Both implementations."""
    if request.param == "fake":
        yield FakeTokenUses()
        return
    server = request.getfixturevalue("redis_server")
    async with connect_redis(server.url) as redis:
        yield RedisTokenUses(Scripts(redis, b"i" * 32, SystemClock()))


async def test_the_latest_use_counts_in_whatever_order_edges_tell(uses: TokenUses) -> None:
    """Two edges do not tell in order; nothing told is nothing; what is forgotten is gone."""
    assert await uses.last() == {}
    await uses.note({})
    await uses.note({"a": 5, "b": 1})
    await uses.note({"a": 3, "b": 2})
    assert await uses.last() == {"a": 5, "b": 2}
    await uses.forget(frozenset({"a", "c"}))
    await uses.forget(frozenset())
    assert await uses.last() == {"b": 2}
