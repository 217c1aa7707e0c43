"""A catalogue goes to every edge without a restart, and back."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ctl import exits
from ctl.commands.publish_catalogue import NothingToRollBackError, _apply, _back, _show
from ctl.commands.rehearse_catalogue import rehearse
from ctl.documents import DocumentDesk
from ctl.up.documents import open_desk, publish_changes
from ctl.up.layout import APP_STANZA
from ctl.up.reload import adds_app
from tests.conftest import BusFactory
from tests.support.key_house import CATALOGUE, House, open_house, session_of
from tests.support.servers import NatsServer
from tests.support.tokens import signing_key

SHOP = CATALOGUE.replace("demo", "shop")


async def run(house: House, work: partial[object], timeout: float = 10.0) -> int:
    """One command on the catalogue; its exit code."""
    desk = DocumentDesk(house.session(timeout), "catalogue")
    await desk.open()
    code = await work(desk.session, desk)  # type: ignore[misc]
    assert isinstance(code, int)
    return code


async def test_a_catalogue_is_in_force_everywhere_and_can_be_taken_back(
    nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Applied, rolled back, shown; each edge is named with the generation that it goes by."""

    def answer() -> dict[str, object]:
        found: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return found

    async with open_house(nats_server, tmp_path, edges=2) as house:
        token = house.signer.token()
        assert await house.check(token, "/demo") == "allow"

        assert await run(house, partial(_apply, text=CATALOGUE)) == exits.DONE
        assert await run(house, partial(_apply, text=SHOP)) == exits.DONE
        applied = answer()
        for edge in (0, 1):
            assert await house.check(token, "/shop", edge) == "allow"
            assert await house.check(token, "/demo", edge) == "no_route"
        assert (applied["generation"], applied["complete"]) == (2, True)
        assert [e["edge_id"] for e in applied["edges"]] == ["edge-1", "edge-2"]  # type: ignore[attr-defined]

        # A rehearsal says what would change, and changes nothing.
        assert await run(house, partial(rehearse, text=CATALOGUE)) == exits.DONE
        rehearsed = answer()
        assert rehearsed["generation"] == 2
        assert [(c["kind"], c["service"]) for c in rehearsed["changes"]] == [  # type: ignore[attr-defined]
            ("added", "demo"),
            ("removed", "shop"),
        ]
        assert await house.check(token, "/demo") == "no_route"

        # The same once more is no new generation.
        assert await run(house, partial(_apply, text=SHOP)) == exits.DONE
        assert answer()["generation"] == 2

        assert await run(house, partial(_back, to=None)) == exits.DONE
        assert answer()["generation"] == 3
        assert await house.check(token, "/demo") == "allow"
        await run(house, partial(_show, wanted=None))
        shown = answer()
        assert (shown["text"], len(shown["kept"])) == (CATALOGUE, 3)  # type: ignore[arg-type]

        with pytest.raises(NothingToRollBackError, match="Kept generations: 1, 2, 3"):
            await run(house, partial(_back, to=9))
        assert await run(house, partial(_back, to=2)) == exits.DONE
        assert await house.check(token, "/shop", 1) == "allow"


async def test_the_first_change_can_be_taken_back(
    nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What everybody was started with from files becomes generation 1 when a change of it is put in force."""
    async with open_house(nats_server, tmp_path) as house:
        assert await run(house, partial(_apply, text=SHOP, before=CATALOGUE)) == exits.DONE
        assert await house.check(house.signer.token(), "/shop") == "allow"
        assert await run(house, partial(_back, to=None)) == exits.DONE
        assert await house.check(house.signer.token(), "/demo") == "allow"

        # The same is asked for once more by its own text: no second generation of it.
        assert await run(house, partial(_apply, text=CATALOGUE, before=SHOP)) == exits.DONE
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["generation"] == 3


async def test_a_rollback_can_be_rehearsed_and_names_the_generation_that_cannot_be_used(
    nats_server: NatsServer, bus_of: BusFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rehearsal changes nothing; a line number is that of the generation, not of services.yaml."""
    session = session_of(nats_server, await bus_of("operator"))
    desk = DocumentDesk(session, "catalogue")
    await desk.open()
    newer = CATALOGUE.replace("    upstream", "    of_tomorrow: true\n    upstream")
    for generation, body in enumerate((newer, SHOP, CATALOGUE), start=1):
        await desk.publish(body, generation, at=generation)

    assert await _back(session, desk, to=None, dry_run=True) == exits.DONE
    rehearsed = json.loads(capsys.readouterr().out)
    assert (rehearsed["generation"], rehearsed["as"], rehearsed["dry_run"]) == (3, 2, True)
    assert [(c["kind"], c["service"]) for c in rehearsed["changes"]] == [
        ("added", "shop"),
        ("removed", "demo"),
    ]
    await _back(replace(session, json=False), desk, to=2, dry_run=True)
    assert "generation 3 is in force; this would be as 2; nothing is" in capsys.readouterr().out

    for dry_run in (True, False):
        assert await _back(session, desk, to=1, dry_run=dry_run) == exits.FAILED
        told = capsys.readouterr().err
        assert told.startswith("generation 1, line 5: services.demo.of_tomorrow: unknown key")
    await desk.read()
    assert desk.shelf.generation == 3


async def test_a_rollback_says_that_services_yaml_is_as_it_was(
    nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file still says what was rolled back: an apply says nothing of the kind."""
    async with open_house(nats_server, tmp_path) as house:

        async def told(work: partial[object]) -> str:
            desk = DocumentDesk(replace(house.session(), json=False), "catalogue")
            await desk.open()
            assert await work(desk.session, desk) == exits.DONE  # type: ignore[misc]
            return capsys.readouterr().out

        await told(partial(_apply, text=CATALOGUE))
        applied = await told(partial(_apply, text=SHOP))
        back = await told(partial(_back, to=None))

    assert "services.yaml is as it was" not in applied
    assert "services.yaml is as it was: write what `catalogue show` prints into it" in back
    assert "traefik     gets its routes from auth" in back


async def test_an_edge_that_does_not_believe_the_operator_stays_behind_and_is_named(
    nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator whose public key edges do not have changes nothing: exit 3, and the edge goes on."""
    async with open_house(nats_server, tmp_path) as house:
        operator = signing_key("EdDSA", "another-operator")
        _replace_operator(house.secrets_dir, operator.kid)

        code = await run(house, partial(_apply, text=SHOP), timeout=2.0)

        said = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert code == exits.PARTLY
        assert said["edges"] == [{"edge_id": "edge-1", "generation": 0, "after_ms": None}]
        assert await house.check(house.signer.token(), "/demo") == "allow"
        assert "latchwire_documents_refused_total 1.0" in await house.edges[0].metrics()


def _replace_operator(directory: Path, kid: str) -> None:
    """Another operator key on this machine, public half included; running edges know the old one."""
    from shared.secrets import new_private_pem, write_operator_jwks, write_private

    for path in (directory / "operator").glob("*.pem"):
        path.unlink()
    write_private(directory / "operator" / f"{kid}.pem", new_private_pem("EdDSA"))
    write_operator_jwks(directory)


async def test_up_goes_by_its_file_also_after_a_catalogue_was_applied(
    nats_server: NatsServer,
) -> None:
    """Nothing is published while no document says anything, or when it says the same."""
    async with open_desk(nats_server.url, nats_server.secrets_dir) as desk:
        await publish_changes(desk, CATALOGUE)
        assert desk.shelf.genuine == ()

        # The first change while `up` runs: what all was started with is kept beneath it.
        assert await publish_changes(desk, CATALOGUE, first=SHOP) == 2
        kept = [(document.generation, document.body) for document in desk.shelf.genuine]
        assert kept == [(1, SHOP), (2, CATALOGUE)]


async def test_up_takes_a_document_of_before_to_what_its_file_says(
    nats_server: NatsServer,
) -> None:
    """Another generation only where the file says something else."""
    async with open_desk(nats_server.url, nats_server.secrets_dir) as desk:
        await desk.publish(CATALOGUE, 7, at=1)
        assert await publish_changes(desk, CATALOGUE) is None
        assert await publish_changes(desk, SHOP) == 8
        assert desk.shelf.in_force is not None
        assert desk.shelf.in_force.body == SHOP


def test_an_up_that_adds_an_application_says_so(tmp_path: Path) -> None:
    """Its services.yaml alone would take the application away again."""
    assert not adds_app(tmp_path / "services.yaml")

    (tmp_path / "run.json").write_text(json.dumps({"app": "http://localhost:3000"}))

    (tmp_path / "services.yaml").write_text(CATALOGUE)
    assert adds_app(tmp_path / "services.yaml")

    # Copied into it, as `up` tells, it is the file's own.
    own = CATALOGUE + APP_STANZA.format(upstream="http://localhost:3000")
    (tmp_path / "services.yaml").write_text(own)
    assert not adds_app(tmp_path / "services.yaml")
