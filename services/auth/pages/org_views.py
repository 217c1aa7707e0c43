"""The pages of organisations, one frozen model each.

What a person may do in an organisation is decided by the flows; a view is told which forms to show.
"""

from dataclasses import dataclass
from typing import ClassVar

from services.auth.pages.messages import Message, WayOn
from services.auth.pages.views import OpenLink, View

ORGANISATIONS = WayOn("Your organisations", "/auth/account/orgs")


@dataclass(frozen=True)
class OrgRow:
    """One of the person's organisations; *roles* as words, *active*: the tokens say this one."""

    org: str
    name: str
    roles: str
    active: bool


@dataclass(frozen=True)
class Organisations(View):
    """Mine, which of them is active, and a form for a new one."""

    template: ClassVar[str] = "organisations.html"
    switch_token: str
    create_token: str
    orgs: tuple[OrgRow, ...]
    name: str = ""
    problem: str = ""


@dataclass(frozen=True)
class MemberRow:
    """A member; *href* leads to the page that changes the member, "" where that is not allowed."""

    email: str
    roles: str
    me: bool = False
    href: str = ""


@dataclass(frozen=True)
class InvitationRow:
    """Somebody who is invited; *times* "Invited 2 days ago"."""

    invitation: str
    email: str
    roles: str
    times: str


@dataclass(frozen=True)
class RoleChoice:
    """A role that can be given, and whether it is."""

    role: str
    chosen: bool = False


@dataclass(frozen=True)
class Organisation(View):
    """Members and invitations. A form token that is "" hides its form.

    *problem* is the invitation's; *at_email* says whether it is about the address. *settings* and *tokens*:
    whether there are links to those pages.
    """

    template: ClassVar[str] = "organisation.html"
    org: str
    name: str
    members: tuple[MemberRow, ...]
    invitations: tuple[InvitationRow, ...] = ()
    choices: tuple[RoleChoice, ...] = ()
    invite_token: str = ""
    withdraw_token: str = ""
    leave_token: str = ""
    settings: bool = False
    tokens: bool = False
    email: str = ""
    problem: str = ""
    at_email: bool = True
    more: str = ""


@dataclass(frozen=True)
class Member(View):
    """One member's roles, and a button that removes them."""

    template: ClassVar[str] = "member.html"
    org: str
    name: str
    member: str
    email: str
    choices: tuple[RoleChoice, ...]
    roles_token: str = ""
    remove_token: str = ""
    problem: str = ""


@dataclass(frozen=True)
class OrgSettings(View):
    """The name, and the end of the organisation. A form token that is "" hides its form."""

    template: ClassVar[str] = "org_settings.html"
    org: str
    name: str
    rename_token: str = ""
    delete_token: str = ""
    typed: str = ""
    problem: str = ""


@dataclass(frozen=True)
class TokenRow:
    """A service token: *used* "Last used 3 hours ago", *times* "Made 2 days ago, runs out in 88 days"."""

    token: str
    service: str
    last_four: str
    times: str
    used: str
    scopes: str = ""


@dataclass(frozen=True)
class OrgTokens(View):
    """The service tokens that are bound to the organisation, each with a button that ends it."""

    template: ClassVar[str] = "org_tokens.html"
    org: str
    name: str
    end_token: str
    tokens: tuple[TokenRow, ...] = ()


@dataclass(frozen=True)
class Join(View):
    """Behind the link of an invitation, for who is signed in with its address: one button."""

    template: ClassVar[str] = "join.html"
    form_token: str
    token: str
    email: str
    org_name: str


@dataclass(frozen=True)
class OpenInvitation(OpenLink):
    """`OpenLink` for an invitation, whose mail has no code; *join* is the way without a script."""

    template: ClassVar[str] = "open_invitation.html"
    join: str = ""


@dataclass(frozen=True)
class JoinAfterLogIn(View):
    """The same for anybody else: first a login with that address. *instead_of* is who is signed in now."""

    template: ClassVar[str] = "join_after_log_in.html"
    form_token: str
    email: str
    org_name: str
    next: str
    log_in: str
    instead_of: str = ""


@dataclass(frozen=True)
class NotJoined(Message):
    """The invitation did not count any more."""

    title: str = "You did not join"
    paragraphs: tuple[str, ...] = ("That invitation no longer counts.",)
    way_on: WayOn | None = ORGANISATIONS


@dataclass(frozen=True)
class NotLeft(Message):
    """The last owner stays."""

    title: str = "You are still a member"
    paragraphs: tuple[str, ...] = ()
    way_on: WayOn | None = ORGANISATIONS
