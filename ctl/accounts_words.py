"""What commands about accounts say: an account in lines, and why auth did not do it."""

from collections.abc import Mapping

from ctl import exits
from ctl.output import complain, date_time, one_line
from shared.messages import UserAccount

# The errors of auth's answers. What is not here is said as it came.
REFUSALS: Mapping[str, str] = {
    "accounts_off": "accounts are off here: `make up ACCOUNTS=on`, or LATCHWIRE_ACCOUNTS_URL, switches them on",
    "no_account": "there is no account of this address",
    "unknown_role": "no such role there: LATCHWIRE_ROLES names the table, and deploy/roles.yaml shows one",
    "no_such_member": "there is no such organisation, or this person is not in it",
    "last_owner": "the organisation would be left without an owner: make somebody else one first",
    "changed_meanwhile": "somebody else is changing the same just now: try again",
}


def refused(error: str) -> int:
    """Say why auth did not do it, in one line."""
    complain(one_line(REFUSALS.get(error, error)))
    return exits.FAILED


def account_lines(account: UserAccount) -> list[str]:
    """An account for a terminal."""
    proven = date_time(account.verified_at) if account.verified_at else "not proven yet"
    ways = ["link", *(["password"] if account.has_password else []), *account.providers]
    rows = [
        ("sub", account.sub),
        ("created", date_time(account.created_at)),
        ("address proven", proven),
        ("logs in by", ", ".join(ways)),
        ("roles", ", ".join(account.roles) or "none"),
        *(
            (f"in {org.name}", f"{', '.join(org.roles) or 'no role'} ({org.org})")
            for org in account.orgs
        ),
    ]
    return [one_line(f"  {name}: {value}") for name, value in rows]
