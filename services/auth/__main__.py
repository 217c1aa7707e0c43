"""``python -m services.auth``; with the argument ``migrate`` the schema of accounts is brought up to date."""

import sys

from services.auth.settings import AuthSettings
from services.auth.wiring import start
from shared.lifecycle import run_worker

if __name__ == "__main__":
    if sys.argv[1:] == ["migrate"]:
        from services.auth.wiring.accounts_schema import run_migrate

        sys.exit(run_migrate())
    run_worker("auth", AuthSettings, start)
