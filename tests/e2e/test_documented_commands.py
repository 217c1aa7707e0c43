"""Every command in the README and the runbook is run, as written, against the running product."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import jwt
import pytest

from tests.support.command_forks import forked_words
from tests.support.nats_stand_in import install
from tests.support.stack import ROOT, Stack
from tests.support.visitor import log_in, open_client
from tests.support.waiting import eventually

HERE = "tests/e2e/test_documented_commands.py"
OPERATORS = "tests/integration/test_ctl_accounts.py"
KEYS = "\nasync def test_keys_retire_and_compromise_"

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
}
KID = "20261122-sig-ab12cd"  # of the runbook


def blocks(document: str) -> list[str]:
    """The shell blocks of a page, in order."""
    return re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL
    )


def commands(document: str) -> list[str]:
    """The blocks whose commands run here."""
    kept = [
        "\n".join(line for line in block.splitlines() if line not in ELSEWHERE)
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
        timeout=90,
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

    await eventually(whole, within=30)


@pytest.mark.timeout(300)  # some thirty commands, each a process
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
        timeout=60,
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


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_not_run_here_is_run_there(command: str) -> None:
    """The named file has what runs it, and a page still has the command: this list cannot rot."""
    file, runs = ELSEWHERE[command]
    pages = [block for page in ("README.md", "docs/runbook.md") for block in blocks(page)]

    assert runs in (ROOT / file).read_text()
    assert command in "\n".join(pages).splitlines()
