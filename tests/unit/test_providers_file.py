"""providers.yaml: presets, secrets beside it, and mistakes that are refused with their line."""

import re
from pathlib import Path
from textwrap import dedent

import pytest
from structlog.testing import capture_logs

from services.auth.adapters.providers_file import ProvidersFileError, load_providers
from services.auth.domain.provider import ProviderConfig
from shared.secrets import write_private

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"


def load(tmp_path: Path, text: str, *names: str) -> tuple[ProviderConfig, ...]:
    """The file *text*, with a secret for each of *names*."""
    for name in names:
        write_private(tmp_path / "secrets" / "providers" / f"{name}.secret", f"secret of {name}")
    (tmp_path / "providers.yaml").write_text(text)
    return load_providers(tmp_path / "providers.yaml", tmp_path / "secrets")


def test_without_a_file_there_are_no_providers(tmp_path: Path) -> None:
    """Nobody has to write one."""
    assert load_providers(tmp_path / "providers.yaml", tmp_path) == ()


def test_the_log_says_which_file_is_in_force_and_names_its_providers(tmp_path: Path) -> None:
    """So does it where there is none: the path that was looked at, whole. No secret is in either."""
    with capture_logs() as said:
        load_providers(tmp_path / "providers.yaml", tmp_path)
        load(
            tmp_path,
            "google: {client_id: id-of-ours}\nhub: {preset: github, client_id: b}",
            "google",
            "hub",
        )

    file = str(tmp_path / "providers.yaml")
    none, in_force = said
    assert none == {"event": "providers.none", "no_file": file, "log_level": "info"}
    assert (in_force["event"], in_force["file"]) == ("providers.in_force", file)
    assert in_force["providers"] == ["google", "hub"]
    assert "secret of" not in str(said)
    assert "id-of-ours" not in str(said)


def test_a_file_that_somebody_named_has_to_be_there(tmp_path: Path) -> None:
    """A mistyped path is not a page without buttons."""
    with pytest.raises(ProvidersFileError, match=r"providers\.yaml: No such file"):
        load_providers(tmp_path / "providers.yaml", tmp_path, needed=True)


def test_a_preset_needs_a_client_id_and_a_secret(tmp_path: Path) -> None:
    """Google as its documentation has it, gmail.com its own, and the secret in no repr."""
    (google,) = load(tmp_path, "google: {client_id: 1.apps.googleusercontent.com}", "google")

    assert google.issuer == "https://accounts.google.com"
    assert google.discovery == "https://accounts.google.com/.well-known/openid-configuration"
    assert (google.title, google.scopes, google.algorithms) == (
        "Google",
        "openid email",
        ("RS256",),
    )
    assert (google.authoritative, google.workspace_claim) == (frozenset({"gmail.com"}), "hd")
    assert google.secret == "secret of google"
    assert "secret of" not in repr(google)


@pytest.mark.parametrize(
    ("tenant", "issuer", "discovery"),
    [
        (TENANT, TENANT, TENANT),
        ("common", "{tenantid}", "common"),
        ("organizations", "{tenantid}", "organizations"),
        (
            "consumers",
            "9188040d-6c67-4c5b-b112-36a304b66dad",
            "9188040d-6c67-4c5b-b112-36a304b66dad",
        ),
    ],
)
def test_microsofts_issuer_is_its_tenants(
    tmp_path: Path, tenant: str, issuer: str, discovery: str
) -> None:
    """One directory has one issuer; many have each their own. Its word proves no address."""
    text = f"microsoft: {{client_id: x, tenant: {tenant}}}"
    (microsoft,) = load(tmp_path, text, "microsoft")

    base = "https://login.microsoftonline.com"
    assert microsoft.issuer == f"{base}/{issuer}/v2.0"
    assert microsoft.discovery == f"{base}/{discovery}/v2.0/.well-known/openid-configuration"
    assert microsoft.authoritative == frozenset()


def test_the_order_of_the_file_is_that_of_the_buttons(tmp_path: Path) -> None:
    """And a preset may stand under another name."""
    text = (
        "work: {preset: google, client_id: a}\ngithub: {client_id: b}\nfacebook: {client_id: c}\n"
    )
    found = load(tmp_path, text, "work", "github", "facebook")

    assert [(p.name, p.title, p.kind) for p in found] == [
        ("work", "Google", "oidc"),
        ("github", "GitHub", "github"),
        ("facebook", "Facebook", "facebook"),
    ]


WRONG = {
    "a name with capitals": "Google: {client_id: x}",
    "a path for a name": "../x: {client_id: x, issuer: 'https://a.example'}",
    "no client id": "google: {}",
    "a key nobody knows": "google: {client_id: x, client_secret: y}",
    "no issuer": "sso: {client_id: x}",
    "plain http": "sso: {client_id: x, issuer: 'http://a.example'}",
    "an issuer with a query": "sso: {client_id: x, issuer: 'https://a.example?x=1'}",
    "an issuer with a password": "sso: {client_id: x, issuer: 'https://u:p@a.example'}",
    "a template outside microsoft": "sso: {client_id: x, issuer: 'https://a.example/{tenantid}'}",
    "a shared secret's algorithm": "google: {client_id: x, algorithms: [HS256]}",
    "no algorithm": "google: {client_id: x, algorithms: [none]}",
    "a domain that is none": "google: {client_id: x, authoritative: ['*']}",
    "an address for a domain": "google: {client_id: x, authoritative: ['a@b.com']}",
    "microsoft without a tenant": "microsoft: {client_id: x}",
    "microsoft with a tenant's name": "microsoft: {client_id: x, tenant: acme.onmicrosoft.com}",
    "tenants elsewhere": "google: {client_id: x, tenants: [a]}",
    "endpoints without an issuer": "github: {client_id: x, endpoints: {user: 'https://a.example'}}",
    "some endpoints": (
        "github: {client_id: x, issuer: 'https://g.example', preset: github, "
        "endpoints: {user: 'https://a.example'}}"
    ),
    "endless waiting": "google: {client_id: x, timeout: 600}",
    "allow_private as text": "google: {client_id: x, allow_private: 'yes'}",
    "a list": "[google]",
    "the same name twice": "google: {client_id: x}\ngoogle: {client_id: y}",
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_refused_at_start(tmp_path: Path, mistake: str) -> None:
    """Nothing is guessed: what is not understood does not run."""
    with pytest.raises(ProvidersFileError) as refused:
        load(tmp_path, WRONG[mistake], "google", "sso", "microsoft", "github")

    assert "secret of" not in str(refused.value)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """With the cure."""
    write_private(tmp_path / "secrets" / "providers" / "google.secret", "s")
    (tmp_path / "secrets" / "providers" / "google.secret").chmod(0o644)
    with pytest.raises(ProvidersFileError, match="chmod 600"):
        load(tmp_path, "google: {client_id: x}")


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    """The file to make, and the line of who needs it."""
    with pytest.raises(ProvidersFileError, match=r"line 2: google.*google\.secret"):
        load(tmp_path, "\ngoogle: {client_id: x}")


def test_the_pinned_provider_of_the_tests_names_no_registry() -> None:
    """Every package by version and hash, from wherever the machine installs."""
    lock = Path(__file__).parents[1] / "support" / "oidc_provider" / "package-lock.json"
    text = lock.read_text()

    assert '"resolved"' not in text
    assert text.count('"integrity": "sha512-') == text.count('"node_modules/')


YAML_BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_documentation_load(tmp_path: Path) -> None:
    """What people copy is what the program takes."""
    root = Path(__file__).parents[2]
    blocks = YAML_BLOCK.findall((root / "docs" / "providers.md").read_text())
    texts = [dedent(text) for _indent, text in blocks]
    names = ("google", "hub", "microsoft", "acme-sso", "github", "facebook")
    found = [load(tmp_path, text, *names)[0].name for text in texts]

    assert found == ["google", "hub", "microsoft", "acme-sso"]
    example = (root / "deploy" / "providers.yaml").read_text()
    assert len(load(tmp_path, example, *names)) == 4
