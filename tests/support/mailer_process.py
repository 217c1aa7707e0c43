"""A mailer in a process of its own, started, stopped and killed by a test."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import ROOT, NatsServer, RedisServer, free_port

TIMING = {"conversation": 1.5, "lease": 2.0, "busy": 0.05, "first_backoff": 0.1, "pause": 2.0}


def mailer_environ(nats: NatsServer, redis: RedisServer, smtp_url: str) -> dict[str, str]:
    """The settings of a mailer between these servers."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}",
        "LATCHWIRE_URL": "https://auth.acme.com",
        "LATCHWIRE_SITE_NAME": "Acme",
        "LATCHWIRE_MAIL_FROM": "login@acme.com",
        "LATCHWIRE_SMTP_URL": smtp_url,
        "LATCHWIRE_NATS_URL": nats.url,
        "LATCHWIRE_REDIS_URL": redis.url,
        "LATCHWIRE_SECRETS_DIR": str(nats.secrets_dir),
    }


@dataclass
class MailerProcess:
    """A mailer of its own process, started and killed by the test."""

    environ: dict[str, str]
    log: Path
    timing: Mapping[str, float] = field(default_factory=lambda: TIMING)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> str:
        """Start one; where its admin door will be."""
        door = f"127.0.0.1:{free_port()}"
        admin = {"LATCHWIRE_MAILER_ADMIN": door}
        command = [sys.executable, "-m", "tests.support.run_mailer", json.dumps(dict(self.timing))]
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**self.environ, **admin}, stdout=out, stderr=out
            )
        self.processes.append(process)
        return f"http://{door}"

    def kill(self) -> None:
        """kill -9 of all."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(5)
        self.processes.clear()

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        (process,) = self.processes
        process.terminate()
        return process.wait(60)
