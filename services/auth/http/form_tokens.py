"""Form tokens: what proves that a form is one of our own pages, shown to this very browser.

A token is ``kid.mac``, the MAC over the form's name and the browser's secret (the pre-login cookie, or
the session id where there is a session). It is checked besides `Sec-Fetch-Site` and `Origin`, because a
page with ``Referrer-Policy: no-referrer`` posts ``Origin: null`` and older browsers send no
`Sec-Fetch-Site`: with those two alone the pages would not work there, or work for everybody.
"""

import hmac

from shared.ids import b64url
from shared.secrets import SymmetricKeys

LABEL = "form/v1"


class FormTokens:
    """Makes and checks form tokens with the keys under ``csrf/``."""

    def __init__(self, keys: SymmetricKeys) -> None:
        self._keys = keys

    def issue(self, form: str, secret: str) -> str:
        """A token for the form *form*, good in the browser that holds *secret*."""
        kid = self._keys.current
        return f"{kid}.{self._mac(kid, form, secret)}"

    def accepts(self, token: str, form: str, secret: str) -> bool:
        """Whether *token* was issued for this form and this browser, under any key still held."""
        kid, _, mac = token.rpartition(".")
        if not secret or kid not in self._keys.by_kid:
            return False
        return hmac.compare_digest(mac.encode(), self._mac(kid, form, secret).encode())

    def _mac(self, kid: str, form: str, secret: str) -> str:
        message = f"{LABEL}|{form}|{secret}".encode()
        return b64url(hmac.digest(self._keys.by_kid[kid], message, "sha256"))
