"""``catalogue``: is services.yaml usable, what Traefik makes of it; `publish_catalogue` puts it in force."""

import argparse
import json
from pathlib import Path
from urllib.parse import urlsplit

from ctl import exits, traefik
from ctl.arguments import add_command
from ctl.commands import publish_catalogue
from ctl.installation import NoInstallationError, find_catalogue
from ctl.output import complain, say
from shared.catalogue import CatalogueError, load_catalogue
from shared.settings import SettingsError, read_environment


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``catalogue`` to the command line."""
    parser = add_command(commands, "catalogue", "check services.yaml, put it in force at the edges")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    check = add_command(verbs, "check", "is services.yaml usable?")
    check.set_defaults(run=_check)
    publish_catalogue.register(verbs)
    render = verbs.add_parser("traefik", help="write Traefik's dynamic configuration")
    render.add_argument("--out", type=Path, required=True, help="the file Traefik reads")
    render.add_argument("--auth", required=True, help="http://auth:8000")
    render.add_argument("--edge", required=True, help="http://edge:9000")
    render.add_argument("--entry-point", default="websecure", help="default: websecure")
    render.add_argument("--cert-resolver", help="switches TLS on, by this resolver")
    render.set_defaults(run=_render)


def _check(arguments: argparse.Namespace) -> int:
    try:
        path = find_catalogue(arguments.context)
        catalogue = load_catalogue(path)
    except (CatalogueError, NoInstallationError) as error:
        complain(str(error))
        return exits.FAILED
    count = len(catalogue.services)
    say(
        f"{path}: "
        + ("1 service, as it should be" if count == 1 else f"{count} services, as they should be")
    )
    return exits.DONE


def _render(arguments: argparse.Namespace) -> int:
    try:
        settings = read_environment()
        catalogue = load_catalogue(Path(settings.get("CATALOGUE", "services.yaml")))
    except (CatalogueError, SettingsError) as error:
        complain(str(error))
        return exits.FAILED
    gateway = traefik.Gateway(
        auth=arguments.auth,
        edge=arguments.edge,
        entry_point=arguments.entry_point,
        auth_host=urlsplit(settings.get("URL", "")).hostname,
        cert_resolver=arguments.cert_resolver,
    )
    # Whole or not at all: Traefik watches the file.
    temporary = arguments.out.with_name(arguments.out.name + ".new")
    temporary.write_text(json.dumps(traefik.render(catalogue, gateway), indent=2) + "\n", "utf-8")
    temporary.replace(arguments.out)
    print(f"{arguments.out} written")
    return exits.DONE
