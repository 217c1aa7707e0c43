"""Who may sign in: whole domains, single addresses, or everybody (typed out as ``*``)."""

from dataclasses import dataclass

from shared.emails import InvalidEmailError, canonical_email


@dataclass(frozen=True)
class AllowList:
    """Canonical *domains* and *addresses*."""

    everybody: bool
    domains: frozenset[str]
    addresses: frozenset[str]

    def summary(self) -> str:
        """How many of each, for a log line: an address is a person's."""
        if self.everybody:
            return "everybody"
        return f"{len(self.domains)} domains, {len(self.addresses)} addresses"

    def permits(self, email: str) -> bool:
        """Whether canonical *email* may sign in. A domain does not include its subdomains."""
        domain = email.rpartition("@")[2]
        return self.everybody or email in self.addresses or domain in self.domains


def parse_allow(text: str) -> AllowList:
    """``@acme.com,sam@partner.org`` or ``*``.

    Raises:
        ValueError: an entry is neither an address nor ``@domain``, or there is none.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise ValueError("name who may sign in: @acme.com,sam@partner.org or *")
    named = [entry for entry in entries if entry != "*"]
    domains = {_canonical(f"x{entry}", entry)[1:] for entry in named if entry[0] == "@"}
    return AllowList(
        everybody="*" in entries,
        domains=frozenset(domain.removeprefix("@") for domain in domains),
        addresses=frozenset(_canonical(entry, entry) for entry in named if entry[0] != "@"),
    )


def _canonical(address: str, entry: str) -> str:
    try:
        return canonical_email(address)
    except InvalidEmailError as error:
        raise ValueError(f"{entry!r} is neither an address nor @domain") from error
