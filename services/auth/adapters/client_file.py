"""``clients.json``: the confidential clients and the hashes of their secrets."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from shared.secrets import SecretsError, read_private

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def load_client_secrets(secrets_dir: Path) -> Mapping[str, str]:
    """id -> hexadecimal SHA-256 of the secret.

    Raises:
        SecretsError: the file is missing, readable by others, or not of that form.
    """
    path = secrets_dir / "clients.json"
    try:
        document = json.loads(read_private(path))
        secrets = {name: client["secret_sha256"] for name, client in document.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SecretsError(f'{path} must be {{"id": {{"secret_sha256": "..."}}}}') from error
    wrong = [name for name, value in secrets.items() if not _SHA256.fullmatch(str(value))]
    if wrong:
        raise SecretsError(f"{path}: secret_sha256 of {', '.join(wrong)} is not 64 hex digits")
    return secrets
