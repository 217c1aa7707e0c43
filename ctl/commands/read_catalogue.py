"""``catalogue check|routes|schema``: what services.yaml says, without asking anybody."""

import argparse
import json
from pathlib import Path

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.doctor.echo import TAKE_OUT, is_echo
from ctl.installation import NoInstallationError, find_catalogue
from ctl.output import complain, counted, say, say_json, table
from ctl.people_rules import people_lines
from ctl.rules_in_words import who
from ctl.shadows import shadow_lines
from shared.catalogue import Catalogue, CatalogueError, Service, load_catalogue, schema
from shared.catalogue.changes import open_places
from shared.catalogue.explained import explained_rule


def register(verbs: "Commands[argparse.ArgumentParser]") -> None:
    """Add the three to ``catalogue``."""
    check = add_command(verbs, "check", "is services.yaml usable?")
    check.set_defaults(run=_check)
    routes = add_command(
        verbs, "routes", "every host and path of services.yaml, and who may call it"
    )
    routes.set_defaults(run=_routes)
    for verb in (check, routes):
        verb.add_argument("file", nargs="?", type=Path, help="default: the installation's")
    printed = add_command(verbs, "schema", "the JSON Schema of services.yaml, for editors")
    printed.set_defaults(run=_schema)


def _read(arguments: argparse.Namespace) -> tuple[Path, Catalogue] | None:
    """The file that is meant; None when it cannot be used, which has been said."""
    try:
        path = arguments.file or find_catalogue(arguments.context)
        return path, load_catalogue(path, str(path))
    except CatalogueError as error:
        if arguments.json:
            say_json({"usable": False, "problems": error.problems})
        complain(str(error))
    except NoInstallationError as error:
        complain(str(error))
    return None


def _check(arguments: argparse.Namespace) -> int:
    read = _read(arguments)
    if read is None:
        return exits.FAILED
    path, catalogue = read
    count = len(catalogue.services)
    opened = [place for service in catalogue.services for place in open_places(service)]
    warnings = shadow_lines(catalogue, arguments.context)
    warnings += people_lines(catalogue, arguments.context)
    warnings += [TAKE_OUT] if any(is_echo(service) for service in catalogue.services) else []
    if arguments.json:
        say_json({"usable": True, "services": count, "open": opened, "warnings": warnings})
        return exits.DONE
    how = "as it should be" if count == 1 else "as they should be"
    if count:
        say(f"{path}: {counted(count, 'service')}, {how}")
    else:
        say(f"{path}: no service at all: every request will be refused")
    for warning in warnings:
        complain(warning)
    if opened:
        say(f"open to everybody: {', '.join(opened)}")
    if own := [service.name for service in catalogue.services if service.headers]:
        say(
            f"with headers of their own: {', '.join(own)}; at nginx, Caddy and Envoy each needs a line"
        )
    return exits.DONE


def _routes(arguments: argparse.Namespace) -> int:
    read = _read(arguments)
    if read is None:
        return exits.FAILED
    rows = [row for service in read[1].services for row in _rows(service)]
    if arguments.json:
        say_json({"routes": rows})
    else:
        heading = ("HOST", "PATH", "SERVICE", "WHO", "LIMIT", "UPSTREAM")
        say(table([heading, *(_cells(row) for row in rows)]))
    return exits.DONE


_PERIODS = {1.0: "second", 60.0: "minute", 3600.0: "hour"}


def _rows(service: Service) -> list[dict[str, object]]:
    limit = service.rate_limit
    return [
        {
            "host": service.host or "*",
            "path": path,
            "service": service.name,
            "who": who(explained_rule(service, path)),
            "limit": f"{limit.count}/{_PERIODS[limit.seconds]}, burst {limit.burst}"
            if limit
            else "",
            "upstream": service.upstream,
            "exposed": service.expose_publicly,
        }
        for path in (*service.paths, *service.public_paths)
    ]


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    place = "" if row["exposed"] else " (internal)"
    cells = (str(row[key]) for key in ("path", "service", "who", "limit", "upstream"))
    return f"{row['host']}{place}", *cells


def _schema(_: argparse.Namespace) -> int:
    say(json.dumps(schema(), indent=2, ensure_ascii=False))
    return exits.DONE
