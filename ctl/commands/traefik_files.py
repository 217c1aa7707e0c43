"""``catalogue traefik|labels``: the routes for a Traefik that does not ask auth for them."""

import argparse
import json
from pathlib import Path
from urllib.parse import urlsplit

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.installation import NoInstallationError, find_catalogue, find_url
from ctl.output import complain, say
from shared.catalogue import Catalogue, CatalogueError, load_catalogue
from shared.traefik import Gateway, labels_of, render

WHICH_FILE = "default: the one `catalogue check` reads"


def register(verbs: "Commands[argparse.ArgumentParser]") -> None:
    """Add both to ``catalogue``."""
    file = add_command(verbs, "traefik", "write Traefik's routes as a file of its file provider")
    file.add_argument("file", nargs="?", type=Path, help=WHICH_FILE)
    file.add_argument("--out", type=Path, required=True, help="the file Traefik reads")
    _describe_gateway(file)
    file.set_defaults(run=_write)
    labels = add_command(verbs, "labels", "print a service's routes as labels of its container")
    labels.add_argument("service", help="its name in services.yaml")
    labels.add_argument("file", nargs="?", type=Path, help=WHICH_FILE)
    labels.add_argument("--compose", action="store_true", help="as lines of a compose file")
    _describe_gateway(labels)
    labels.set_defaults(run=_print)


def _describe_gateway(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--auth", default="http://auth:8000", help="default: http://auth:8000")
    parser.add_argument("--edge", default="http://edge:9000", help="default: http://edge:9000")
    parser.add_argument("--entry-point", default="websecure", help="default: websecure")
    parser.add_argument("--internal", help="the entry point for services that are not exposed")
    parser.add_argument("--cert-resolver", help="switches TLS on, by this resolver")


def _write(arguments: argparse.Namespace) -> int:
    try:
        catalogue, gateway = _read(arguments)
    except (CatalogueError, NoInstallationError) as error:
        complain(str(error))
        return exits.FAILED
    # Whole or not at all: Traefik watches the file.
    temporary = arguments.out.with_name(arguments.out.name + ".new")
    temporary.write_text(json.dumps(render(catalogue, gateway), indent=2) + "\n", "utf-8")
    temporary.replace(arguments.out)
    say(f"{arguments.out} written")
    return exits.DONE


def _print(arguments: argparse.Namespace) -> int:
    try:
        catalogue, gateway = _read(arguments)
    except (CatalogueError, NoInstallationError) as error:
        complain(str(error))
        return exits.FAILED
    try:
        labels = labels_of(catalogue, gateway, arguments.service)
    except KeyError:
        complain(_no_route(catalogue, arguments.service))
        return exits.FAILED
    for label in labels:
        # A single quote stands twice in YAML's quoted text, a dollar twice in compose's.
        quoted = label.replace("'", "''").replace("$", "$$")
        say(f"- '{quoted}'" if arguments.compose else label)
    return exits.DONE


def _no_route(catalogue: Catalogue, name: str) -> str:
    if any(service.name == name for service in catalogue.services):
        return f"{name} is not exposed: name the entry point for such services with --internal"
    names = ", ".join(service.name for service in catalogue.services) or "none"
    return f"{name} is no service of services.yaml; there are: {names}"


def _read(arguments: argparse.Namespace) -> tuple[Catalogue, Gateway]:
    url = find_url(arguments.context)
    gateway = Gateway(
        auth=arguments.auth,
        edge=arguments.edge,
        entry_point=arguments.entry_point,
        auth_host=urlsplit(url).hostname,
        cert_resolver=arguments.cert_resolver,
        internal=arguments.internal,
        secure=url.startswith("https://"),
    )
    path = arguments.file or find_catalogue(arguments.context)
    return load_catalogue(path, str(path)), gateway
