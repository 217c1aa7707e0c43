"""``catalogue``: what services.yaml says, what a gateway makes of it, and putting it in force."""

import argparse

from ctl.arguments import add_command
from ctl.commands import publish_catalogue, read_catalogue, traefik_files


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``catalogue`` to the command line."""
    parser = add_command(commands, "catalogue", "check services.yaml, put it in force at the edges")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    read_catalogue.register(verbs)
    publish_catalogue.register(verbs)
    traefik_files.register(verbs)
