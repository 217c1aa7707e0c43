"""``python -m services.auth``."""

from services.auth.settings import AuthSettings
from services.auth.wiring import start
from shared.lifecycle import run_worker

if __name__ == "__main__":
    run_worker("auth", AuthSettings, start)
