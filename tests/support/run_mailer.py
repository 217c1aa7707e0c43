"""The mailer process with its waits given on the command line: ``run_mailer '{"lease": 1.5}'``.

The product has no settings for these waits; a fault test cannot sit through a lease of 90 seconds.
"""

import json
import sys
from functools import partial

from services.mailer.domain.attempt import Timing
from services.mailer.settings import MailerSettings
from services.mailer.wiring import start
from shared.lifecycle import run_worker

if __name__ == "__main__":
    run_worker("mailer", MailerSettings, partial(start, timing=Timing(**json.loads(sys.argv[1]))))
