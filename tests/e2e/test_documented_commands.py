"""Every command of every page is run, as written, against the running product, or where `ELSEWHERE` says."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import jwt
import pytest
import yaml

from shared.catalogue import parse_catalogue
from tests.support.command_forks import forked_words
from tests.support.nats_stand_in import install
from tests.support.stack import ROOT, Stack
from tests.support.visitor import log_in, open_client
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)  # some thirty commands, each a process

HERE = "tests/e2e/test_documented_commands.py"
OPERATORS = "tests/integration/test_ctl_accounts.py"
ASSERTED = "tests/e2e/test_asserted_service.py"
EXAMPLES = "tests/e2e/test_documented_examples.py"
HOSTS = "tests/e2e/test_browser_hosts.py"
KEYS = "\nasync def test_keys_retire_and_compromise_"
MANAGERS = "tests/integration/test_service_token_managers.py"
TOKENS = "\nasync def test_the_page_of_service_tokens_"
OWN_TRAEFIK = "\ndef test_a_traefik_of_ones_own_"

# Commands that another test runs: they start or build what this one needs running, or want a name that is
# not the page's: the file, and what runs it there.
ELSEWHERE = {
    "make test": ("Makefile", "test:"),  # this very run
    "make up": ("tests/e2e/test_up.py", "house.ready()"),
    "make up APP=http://localhost:3000": ("tests/e2e/test_up.py", "house.ready(APP="),
    "make up ACCOUNTS=on": ("tests/e2e/test_browser_accounts.py", '"--accounts",'),
    # This stack has no accounts: there they all say so.
    "./latchwire users list": (OPERATORS, '("users", "list")'),
    "./latchwire users roles ada@example.com --grant auditor": (
        OPERATORS,
        '("--grant", "auditor")',
    ),
    "./latchwire users import people.jsonl --check": (OPERATORS, '("--check",)'),
    "./latchwire users import people.jsonl": (OPERATORS, '"users", "import", file'),
    "./latchwire users export --out accounts.jsonl": (OPERATORS, '"--out", target'),
    "./latchwire deletions list": (OPERATORS, '("deletions", "list")'),
    "./latchwire deletions list --all": (OPERATORS, '"deletions", "list", "--all"'),
    # It ends with Ctrl-C.
    "./latchwire events tail": ("tests/integration/test_ctl.py", '"events", "tail"'),
    "./latchwire keys retire 20261122-sig-ab12cd": (HERE, KEYS),
    './latchwire keys compromise 20261122-sig-ab12cd --reason "laptop with secrets lost" --yes': (
        HERE,
        KEYS,
    ),
    "./latchwire catalogue rollback --dry-run": (
        "tests/integration/test_catalogue_apply.py",
        "_back(session, desk, to=None, dry_run=True)",
    ),
    "./latchwire catalogue rollback": (
        "tests/integration/test_catalogue_apply.py",
        "partial(_back, to=None)",
    ),
    "./latchwire catalogue rollback --to 7": (
        "tests/integration/test_catalogue_apply.py",
        "partial(_back, to=2)",
    ),
    "docker compose up --build --detach": (
        "tests/integration/test_compose.py",
        "production.up()",
    ),
    'docker compose run --rm ctl revoke person ada@acme.com --reason "laptop stolen"': (
        "tests/integration/test_compose.py",
        '("revoke", "person",',
    ),
    "docker compose run --rm ctl edges list": (
        "tests/integration/test_compose.py",
        '("edges", "list")',
    ),
    "docker compose run --rm --no-deps accounts": (
        "tests/integration/test_compose.py",
        'production.run, "accounts"',
    ),
    "docker compose run --rm ctl status": ("tests/integration/test_compose.py", '("status",)'),
    "docker compose run --rm -T ctl catalogue show 2>/dev/null > services.yaml.new": (
        HERE,
        "\ndef test_what_is_in_force_is_written_",
    ),
    "cat services.yaml.new > services.yaml": (HERE, "\ndef test_what_is_in_force_is_written_"),
    "docker compose up --build --detach --scale traefik=0": (HERE, OWN_TRAEFIK),
    "cp deploy/proxies/compose.override.yaml compose.override.yaml": (
        "tests/integration/test_compose.py",
        "\ndef test_another_gateway_finds_",
    ),
    "docker network connect latchwire_gateway YOUR-TRAEFIK": (HERE, OWN_TRAEFIK),
    "docker network connect latchwire_edges YOUR-TRAEFIK": (HERE, OWN_TRAEFIK),
    'echo "AUTH_STAYS_INSIDE=false" >> .env': (HERE, "\ndef test_auth_may_go_out_"),
    "docker compose up --detach": (HERE, "\ndef test_auth_may_go_out_"),
    """docker compose logs --no-log-prefix | grep '"request_id": "THE-ID"'""": (
        HERE,
        "\ndef test_a_request_is_found_",
    ),
    "./latchwire tokens rotate 01M81SY5HEDCXNEG1QXJ2JK3YV": (HERE, TOKENS),
    # This stack has no organisations.
    "./latchwire tokens create discord-bot --org 01M81SY5HEDCXNEG1QXJ2JK3YV": (
        MANAGERS,
        '"create", "bot", "--org", org',
    ),
    './latchwire tokens revoke --org 01M81SY5HEDCXNEG1QXJ2JK3YV --reason "contract ended"': (
        MANAGERS,
        '"revoke", "--org", org',
    ),
    "./latchwire edges keys": (ASSERTED, '"edges", "keys"'),
    "./latchwire edges certify": (ASSERTED, '"edges", "certify")'),
    "./latchwire edges certify edge-1 --renew": (ASSERTED, '"certify", "edge-1", "--renew"'),
    "./latchwire edges withdraw edge-1.9f86d081": (ASSERTED, '"withdraw", old'),
    "./latchwire edges withdraw edge-2": (ASSERTED, '"withdraw", "edge-2"'),
    "LATCHWIRE_COOKIE_DOMAIN=house.localhost make up": (HOSTS, '"COOKIE_DOMAIN": DOMAIN'),
    "mkdir -p .latchwire": (HOSTS, "state.mkdir()"),
    "cp examples/several_hosts/services.yaml .latchwire/services.yaml": (HOSTS, "EXAMPLE.read_"),
    "./latchwire users export --password-hashes --out accounts.jsonl": (
        OPERATORS,
        '"--password-hashes", "--out", target',
    ),
    "./latchwire doctor": ("tests/integration/test_doctor.py", 'run("doctor")'),
    "./latchwire doctor --through http://localhost:8080": (
        "tests/e2e/test_doctor_up.py",
        '"--through", stack.url',
    ),
    "./latchwire doctor --through http://localhost:8080 --own-token --echo 9109": (
        "tests/e2e/test_doctor_up.py",
        '"--own-token", "--token-file", str(file), "--echo", port',
    ),
    "./latchwire clients add web_app": ("tests/e2e/test_web_app.py", '"clients", "add", client_id'),
    "(umask 077; ./latchwire clients add web_app > .latchwire/web_app.secret)": (
        "tests/e2e/test_web_app.py",
        '"clients", "add", client_id',
    ),
    "LATCHWIRE_LINK_URL='http://localhost:3000/login?token={token}' make up": (
        "tests/e2e/test_web_app.py",
        'LATCHWIRE_LINK_URL=f"http://localhost:{port}/login?token={{token}}"',
    ),
    "CLIENT_SECRET_FILE=.latchwire/web_app.secret .venv/bin/python examples/web_app/app.py": (
        "tests/e2e/test_web_app.py",
        '"examples" / "web_app" / "app.py"',
    ),
    "node examples/node_reader/reader.mjs redis://127.0.0.1:6379 secrets/blocklist.key < claims.json": (
        "tests/integration/test_node_reader.py",
        "NODE, READER, self.redis_url, self.blocklist_key",
    ),
    "pip install latchwire": ("tests/integration/test_sdk_wheel.py", '"plain"'),
}
# Pages whose every other command a test runs: its file, and what it takes the page's blocks with.
RUN_THERE = {
    "README.md": (HERE, 'commands("README.md")'),
    "docs/runbook.md": (HERE, 'commands("docs/runbook.md")'),
    "docs/service-tokens.md": (HERE, 'commands("docs/service-tokens.md")'),
    "examples/asserted_service/README.md": (ASSERTED, "typed("),
    "examples/erasing_service/README.md": (EXAMPLES, '("erasing_service", is_ready)'),
    "examples/websocket/README.md": (EXAMPLES, '("websocket", listens)'),
}
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in (
        "README.md",
        "sdk/README.md",
        "docs/*.md",
        "*/*/README.md",
        "deploy/*/*/README.md",
    )
    for path in ROOT.glob(pattern)
)
# What begins a command, where it stands in no block of commands.
COMMAND = re.compile(
    r"^(?: {4})?(?:\$ |[A-Z_]+=\S+ )?"
    r"(?:(?:\./)?latchwire|make|docker|curl|node|pip|\.venv/bin/python) [a-z-]"
)
KID = "20261122-sig-ab12cd"  # of the runbook


def blocks(document: str) -> list[str]:
    """The shell blocks of a page, in order."""
    return re.findall(
        r"^```(?:sh|console)\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL
    )


def bare(line: str) -> str:
    """Without the comment beside it."""
    return re.sub(r"\s{2,}#.*$", "", line)


def commands(document: str) -> list[str]:
    """The blocks whose commands run here."""
    kept = [
        "\n".join(line for line in block.splitlines() if bare(line) not in ELSEWHERE)
        for block in blocks(document)
    ]
    return [b for b in kept if b.strip() and "init --url" not in b]


def run_as_written(stack: Stack, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run *script* in the checkout; only the addresses and the state directory are this stack's.

    The `nats` of the page is a stand-in that knows nothing but what the page uses. Each ``./latchwire`` is
    a process that is forked; `test_the_production_commands_write_a_configuration` runs the wrapper itself.
    """
    latchwire = shlex.join(forked_words())
    script = script.replace("http://localhost:8080", stack.url)
    script = script.replace("http://localhost:8025", stack.mail_url)
    script = script.replace("./latchwire ", f"{latchwire} --context {stack.up.state} ")
    script = script.replace(".latchwire/", f"{stack.up.state}/")
    script = script.replace("token.txt", str(folder / "token.txt"))
    return subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{install(folder / 'bin')}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_readme_does_what_it_says(stack: Stack, tmp_path: Path) -> None:
    """Refused, mailed, let in, logged out, refused with the same token; then the operator's commands."""
    done = run_as_written(stack, "\n".join(commands("README.md")), tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    found = [
        "no_credentials",
        "login_id",
        '"X-User-Id": "ada@example.com"',
        "204",
        "token_revoked",
        "edge-1",
        "BLOCKLIST",
    ]
    assert [text for text in found if text not in done.stdout] == []


async def workers_know_every_edge(stack: Stack, folder: Path) -> None:
    """Return when the revocation workers have listened long enough to say "everywhere"."""

    def whole() -> bool:
        listed = run_as_written(stack, "./latchwire edges list --json", folder)
        return bool(json.loads(listed.stdout or "{}").get("whole"))

    await eventually(whole, within=60)


async def test_the_runbook_does_what_it_says(stack: Stack, tmp_path: Path) -> None:
    """Each block of the runbook ends well; the one for a bare NATS client is acknowledged by TOKEN."""
    await workers_know_every_edge(stack, tmp_path)
    acknowledged = []
    (tmp_path / "token.txt").write_text("eyJhbGciOiJub25lIn0.e30.")
    failed = {}
    for block in commands("docs/runbook.md"):
        done = run_as_written(stack, f"set -e\n{block}", tmp_path)
        if done.returncode != 0:
            failed[block] = done.stdout + done.stderr
        acknowledged += re.findall(r'"stream": ?"TOKEN"', done.stdout)

    assert failed == {}
    assert len(acknowledged) == 1


def test_the_production_commands_write_a_configuration(tmp_path: Path) -> None:
    """`latchwire init` of the README, typed as written, in an empty folder."""
    line = next(
        line for b in blocks("README.md") for line in b.splitlines() if "init --url" in line
    )

    done = subprocess.run(
        ["bash", "-euc", f"cd {ROOT}; {line} --dir {tmp_path}"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "LATCHWIRE_URL='https://auth.acme.com'" in (tmp_path / ".env").read_text()
    assert (tmp_path / "secrets" / "jwks.json").is_file()


def documented(words: str) -> str:
    """The one command of the runbook with these *words*, as written."""
    lines = [line for block in blocks("docs/runbook.md") for line in block.splitlines()]
    (found,) = [line for line in lines if line.startswith(f"./latchwire {words} ")]
    return found


def keys_that_are(stack: Stack, state: str) -> list[str]:
    """The kids in this *state*."""
    listed = json.loads(stack.command("keys", "list", "--json").stdout)
    return [row["kid"] for row in listed["keys"] if row["state"] == state]


async def test_keys_retire_and_compromise_do_what_the_page_says_to_a_former_key(
    stack: Stack, tmp_path: Path
) -> None:
    """As written, with a kid of this stack: not retired while its tokens may live; ended for ever at once.

    What `explain` says of a token of it then is what happened to the key.
    """
    await workers_know_every_edge(stack, tmp_path)
    async with open_client(stack.url) as client:
        token = (await log_in(client, stack.inbox, "keys@example.com"))["access_token"]
    kid = jwt.get_unverified_header(token)["kid"]
    rotated = stack.command("keys", "rotate")
    assert rotated.returncode == 0, rotated.stdout + rotated.stderr

    retire, compromise = (
        run_as_written(stack, documented(words).replace(KID, kid), tmp_path)
        for words in ("keys retire", "keys compromise")
    )

    assert retire.returncode == 1, retire.stdout
    assert re.search(rf"{kid} may have signed .*: retire it from \d{{4}}-", retire.stderr)
    assert compromise.returncode == 0, compromise.stdout + compromise.stderr
    assert "refuses after" in compromise.stdout
    assert kid in keys_that_are(stack, "compromised")
    explained = stack.command("explain", "--token-stdin", stdin=token).stdout
    assert "its key was revoked, and what it signed counts nowhere (kid unknown)" in explained
    assert re.search(rf"Key {kid} was revoked .* \(BLOCKLIST \d+, k\w+\)", explained), explained


async def test_the_page_of_service_tokens_does_what_it_says(stack: Stack, tmp_path: Path) -> None:
    """Made, listed, used for an access token, rotated, revoked by number and by name; as written."""
    await workers_know_every_edge(stack, tmp_path)
    making, using = commands("docs/service-tokens.md")
    create, *others = making.splitlines()
    rotate = [
        line for line in blocks("docs/service-tokens.md")[0].splitlines() if " rotate " in line
    ]
    made = run_as_written(stack, create, tmp_path)
    assert made.returncode == 0, made.stderr
    listed = json.loads(stack.command("--json", "tokens", "list").stdout)["tokens"]
    (number,) = [row["id"] for row in listed if row["service"] == "discord-bot"]
    using = using.replace("https://auth.acme.com", stack.url)
    using = f"SERVICE_TOKEN_DISCORD_BOT={made.stdout.strip()}; {using}"

    used = run_as_written(stack, using, tmp_path)
    script = "\n".join([*rotate, *others]).replace("01M81SY5HEDCXNEG1QXJ2JK3YV", number)
    done = run_as_written(stack, f"set -e\n{script}", tmp_path)

    answer = json.loads(used.stdout)
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == (
        *("Bearer", 900),
        "orders.read",
    )
    assert done.returncode == 0, done.stdout + done.stderr

    def gone() -> bool:
        left = json.loads(stack.command("--json", "tokens", "list").stdout)["tokens"]
        return "discord-bot" not in {row["service"] for row in left}

    await eventually(gone)


def test_the_commands_of_the_page_of_the_catalogue_do_what_they_say(
    stack: Stack, tmp_path: Path
) -> None:
    """Each of its table, at the catalogue of this stack; a rollback is tested elsewhere."""
    page = (ROOT / "docs" / "gateway.md").read_text().partition("\n## The commands\n")[2]
    rows = re.findall(r"^\| `(latchwire [^`]+)`", page, re.MULTILINE)
    values = {
        "FILE": str(stack.up.state / "services.yaml"),
        "[--generation N]": "",
        "https://app.acme.com/billing": f"{stack.url}/demo",
        "--out FILE": f"--out {tmp_path / 'routes.yml'}",
    }
    failed = {}
    for row in [row for row in rows if "rollback" not in row]:
        line = row.replace("--out FILE", values["--out FILE"]).replace("[FILE]", values["FILE"])
        for written, meant in values.items():
            line = line.replace(written, meant)
        done = run_as_written(stack, f"./{line}", tmp_path)
        if done.returncode != 0 or not done.stdout + done.stderr:
            failed[line] = done.stdout + done.stderr

    assert len(rows) > 7
    assert failed == {}
    assert "service-demo" in (tmp_path / "routes.yml").read_text()


def test_what_is_in_force_is_written_into_the_file(stack: Stack, tmp_path: Path) -> None:
    """The runbook's two lines after a rollback, with ./latchwire where production has its container."""
    (block,) = [b for b in blocks("docs/runbook.md") if "services.yaml.new" in b]
    script = block.replace(
        "docker compose run --rm -T ctl ", f"{ROOT}/latchwire --context {stack.up.state} "
    )

    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, timeout=240)

    written = (tmp_path / "services.yaml").read_text()
    assert parse_catalogue(written) == parse_catalogue(
        (stack.up.state / "services.yaml").read_text()
    )


def test_a_traefik_of_ones_own_finds_the_networks_and_leaves_ours_out() -> None:
    """The names of the page are those of compose.yaml, and nothing there waits for our Traefik."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())

    assert compose["name"] == "latchwire"
    assert {"gateway", "edges"} <= compose["networks"].keys()
    assert "traefik" in compose["services"]
    others = [s for name, s in compose["services"].items() if name != "traefik"]
    assert not [s for s in others if "traefik" in s.get("depends_on", {})]


def test_auth_may_go_out_when_the_file_says_so() -> None:
    """The line of the page is the variable of compose.yaml, which is closed without it."""
    (block,) = blocks("docs/providers.md")
    (name,) = re.findall(r'"([A-Z_]+)=false"', block)

    assert f"internal: ${{{name}:-true}}" in (ROOT / "compose.yaml").read_text()


def test_a_request_is_found_by_its_id_in_the_logs(stack: Stack, tmp_path: Path) -> None:
    """The page's grep, at the line that an edge logs of a refusal."""
    (block,) = blocks("docs/observability.md")
    ident = "documented-request-1"
    _, _, grep = block.replace("THE-ID", ident).partition(" | ")
    asking = f"curl -s -H 'X-Request-Id: {ident}' http://localhost:8080/demo"
    script = f"{asking}; cat .latchwire/logs/*.log | {grep}"

    done = run_as_written(stack, script, tmp_path)

    assert "no_credentials" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_not_run_here_is_run_there(command: str) -> None:
    """The named file has what runs it, and a page still has the command: this list cannot rot."""
    file, runs = ELSEWHERE[command]
    lines = [bare(line) for page in PAGES for b in blocks(page) for line in b.splitlines()]

    assert runs in (ROOT / file).read_text()
    assert command in lines


@pytest.mark.parametrize("page", PAGES)
def test_no_command_of_a_page_is_without_a_test(page: str) -> None:
    """Commands stand in blocks of their own; each is run by the test of its page, or named in the table."""
    text = (ROOT / page).read_text()
    besides = re.sub(r"^```(?:sh|console)\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)

    assert [line for line in besides.splitlines() if COMMAND.match(line)] == []
    if page in RUN_THERE:
        file, runs = RUN_THERE[page]
        assert runs in (ROOT / file).read_text()
    else:
        assert commands(page) == []
