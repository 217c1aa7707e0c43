"""The one canonical form of an e-mail address: what identity, limits and the mail server compare.

Accounts have been taken over where two parts of a system disagreed about which addresses are equal
(Spotify's non-idempotent canonicalisation, CVE-2019-19844, encoded-word splitting). So there is one
function, it is idempotent, and everything whose reading could differ between two parsers is refused
rather than repaired:

* The local part is an ASCII dot-atom (RFC 5321 §4.1.2), lower-cased. RFC 5321 lets a host treat case
  as significant; no mail service in use does, and two identities for one mailbox would be worse.
* No quoted local part, comment, display name, whitespace, address literal or encoded word (``=?``).
* The domain becomes A-labels by IDNA 2008 with UTS 46 non-transitional mapping (RFC 5891), lower-case,
  with at least two labels. A look-alike, that is a non-ASCII character which the mapping turns into
  ASCII (Kelvin sign, circled letters, fullwidth dot), and anything invisible is refused; real letters
  of other scripts show as ``xn--``.

Tags (``+news``) and dots stay: they are part of the identity. Limits count without the tag.
"""

import re
import unicodedata

import idna

MAX_ADDRESS = 254  # RFC 5321 §4.5.3.1.3: a path of 256 with its brackets
MAX_LOCAL = 64  # RFC 5321 §4.5.3.1.1
MAX_DOMAIN = 253  # RFC 1035 §2.3.4, written without the root's dot

_ATEXT = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class InvalidEmailError(ValueError):
    """The text is not an address that can sign in. *code* says why, without the text.

    Codes: empty, too_long, at_sign, encoded_word, control, whitespace, display_name,
    non_ascii_local, quoted_local, local_part, look_alike, domain.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def canonical_email(text: str) -> str:
    """The canonical form of *text*; canonical_email(canonical_email(x)) == canonical_email(x).

    Raises:
        InvalidEmailError: anything that is not exactly one plain address.
    """
    _refuse_foreign_forms(text)
    local, _, domain = text.partition("@")
    address = f"{_canonical_local(local)}@{_canonical_domain(domain)}"
    if len(address) > MAX_ADDRESS:
        raise InvalidEmailError("too_long")
    return address


def is_canonical(text: str) -> bool:
    """Whether *text* is already the canonical form of an address."""
    try:
        return canonical_email(text) == text
    except InvalidEmailError:
        return False


def canonical_subject(text: str) -> str:
    """Whom *text* names, as tokens carry it: an address in its canonical form, an account's id verbatim.

    Whitespace around it is dropped. What contains an @ is meant as an address: taken verbatim, a mistyped
    one would name nobody, and nobody would notice.

    Raises:
        InvalidEmailError: nothing is left, or an @ in something that is not one plain address.
    """
    stripped = text.strip()
    return canonical_email(stripped) if "@" in stripped or not stripped else stripped


def limit_address(email: str) -> str:
    """What limits count for canonical *email*: without its ``+tag``, and nothing else removed.

    Dots stay, because only some services ignore them and a limit shared by two people would let one
    lock out the other.
    """
    local, _, domain = email.partition("@")
    untagged, _, _ = local.partition("+")
    return f"{untagged or local}@{domain}"


def _refuse_foreign_forms(text: str) -> None:
    """Bound the work, then name the common mistakes; the grammar below would refuse them all."""
    if not text:
        raise InvalidEmailError("empty")
    if len(text) > MAX_ADDRESS:
        raise InvalidEmailError("too_long")
    if any(unicodedata.category(char)[0] in "CZ" for char in text):
        spaces = all(char.isprintable() or char == " " for char in text)
        raise InvalidEmailError("whitespace" if spaces else "control")
    if "=?" in text:
        raise InvalidEmailError("encoded_word")
    if set(text) & set("<>()[],;:"):
        raise InvalidEmailError("display_name")
    if text.count("@") != 1:
        raise InvalidEmailError("at_sign")


def _canonical_local(local: str) -> str:
    if not local.isascii():
        raise InvalidEmailError("non_ascii_local")
    if '"' in local or "\\" in local:
        raise InvalidEmailError("quoted_local")
    lowered = local.lower()
    if len(local) > MAX_LOCAL:
        raise InvalidEmailError("too_long")
    if not _DOT_ATOM.fullmatch(lowered):
        raise InvalidEmailError("local_part")
    return lowered


def _canonical_domain(domain: str) -> str:
    if any(_is_look_alike(char) for char in domain):
        raise InvalidEmailError("look_alike")
    try:
        mapped = idna.uts46_remap(domain, std3_rules=True, transitional=False)
        labels = [_a_label(label) for label in mapped.split(".")]
    except UnicodeError as error:  # idna.IDNAError is one
        raise InvalidEmailError("domain") from error
    canonical = ".".join(labels)
    if len(labels) < 2 or labels[-1].isdigit() or len(canonical) > MAX_DOMAIN:
        raise InvalidEmailError("domain")
    return canonical


def _a_label(label: str) -> str:
    encoded = idna.alabel(label).decode("ascii")
    if not _LABEL.fullmatch(encoded):
        raise InvalidEmailError("domain")
    # An A-label that is not the encoding of what it decodes to would be a domain's second name.
    if idna.alabel(idna.ulabel(encoded)).decode("ascii") != encoded:
        raise InvalidEmailError("domain")
    return encoded


def _is_look_alike(char: str) -> bool:
    """Whether *char* is not ASCII, yet the mapping would leave only ASCII, or nothing, of it."""
    if char.isascii():
        return False
    if unicodedata.normalize("NFKC", char).isascii() or char.lower().isascii():
        return True
    try:
        return idna.uts46_remap(char, std3_rules=True, transitional=False).isascii()
    except UnicodeError:
        return False  # disallowed in any domain: `_canonical_domain` says so
