"""``python -m services.revocation``."""

from services.revocation.settings import RevocationSettings
from services.revocation.wiring import start
from shared.lifecycle import run_worker

if __name__ == "__main__":
    run_worker("revocation", RevocationSettings, start)
