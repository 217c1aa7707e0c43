"""``python -m services.mailer``."""

from services.mailer.settings import MailerSettings
from services.mailer.wiring import start
from shared.lifecycle import run_worker

if __name__ == "__main__":
    run_worker("mailer", MailerSettings, start)
