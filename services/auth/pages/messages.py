"""The pages that say one thing and lead on by one link, if by any."""

from dataclasses import dataclass
from typing import ClassVar

from services.auth.pages.views import View


@dataclass(frozen=True)
class WayOn:
    """The one link at the end of a message."""

    text: str
    href: str


@dataclass(frozen=True)
class Message(View):
    """A page that says one thing."""

    template: ClassVar[str] = "message.html"
    title: str
    paragraphs: tuple[str, ...]
    way_on: WayOn | None = None
    reference: str = ""


NEW_LINK = WayOn("Get a new link", "/auth/login")


@dataclass(frozen=True)
class LinkSpent(Message):
    """Used, expired and unknown are one page: which of them it was is nobody's business."""

    status: ClassVar[int] = 410
    title: str = "This link no longer works"
    paragraphs: tuple[str, ...] = (
        "A link works once, for 10 minutes, until another one for the same address is used.",
    )
    way_on: WayOn | None = NEW_LINK


@dataclass(frozen=True)
class LinkCancelled(Message):
    """After Cancel and after "This was not me"."""

    title: str = "The link is cancelled"
    paragraphs: tuple[str, ...] = (
        "Nobody was signed in, and the link and its code no longer work.",
        "If you did not ask for it, there is nothing more to do.",
    )


@dataclass(frozen=True)
class SignedOut(Message):
    """After a sign-out; the next click on anything protected asks to log in."""

    title: str = "You are signed out"
    paragraphs: tuple[str, ...] = ("This session is over everywhere it was used.",)
    way_on: WayOn | None = WayOn("Log in again", "/auth/login")


@dataclass(frozen=True)
class SignedOutEverywhere(Message):
    """After "Sign out everywhere"."""

    title: str = "You are signed out everywhere"
    paragraphs: tuple[str, ...] = (
        "Every session of yours is over, on this device and all others.",
    )
    way_on: WayOn | None = WayOn("Log in again", "/auth/login")


@dataclass(frozen=True)
class SessionEnded(Message):
    """After the button of the sign-in notice."""

    title: str = "That session is over"
    paragraphs: tuple[str, ...] = (
        "Whoever used it is out, and needs a new mail to come back.",
        "If this happens again, look after your mailbox: who reads your mail can sign in as you.",
    )


@dataclass(frozen=True)
class CookieDidNotStick(Message):
    """A form came back without the cookie that its page had set: going on would only loop."""

    status: ClassVar[int] = 403
    title: str = "Your browser did not keep our cookie"
    paragraphs: tuple[str, ...] = (
        "Signing in needs a cookie of this site. Please allow it and try again.",
    )
    way_on: WayOn | None = WayOn("Try again", "/auth/login")


@dataclass(frozen=True)
class FormTooOld(Message):
    """The form was not one of ours for this browser: forged, or from before the last sign-in."""

    status: ClassVar[int] = 403
    title: str = "This page is out of date"
    paragraphs: tuple[str, ...] = (
        "Nothing was done. Open the page again and repeat your last step.",
    )
    way_on: WayOn | None = WayOn("Start again", "/auth/login")


@dataclass(frozen=True)
class Untold(Message):
    """Ended here, durably; the others hear of it once the bus is back, whoever asks or not."""

    status: ClassVar[int] = 503
    title: str = "That session is over"
    paragraphs: tuple[str, ...] = (
        "It is ended here and cannot be renewed. We could not tell every other service yet.",
        "They are told as soon as they can be reached. You need not do anything for that.",
    )


@dataclass(frozen=True)
class SignOutUnsure(Message):
    """The cookies are gone but the facts could not be written: say so rather than "signed out"."""

    status: ClassVar[int] = 503
    title: str = "You are signed out on this device"
    paragraphs: tuple[str, ...] = (
        "We could not tell the other services yet. If this is not your own device, try again.",
    )


def not_sent(back: str) -> Message:
    """After a form that came with a login that had to be renewed; *back* is the page of the form."""
    return Message(
        title="What you sent is not saved",
        paragraphs=(
            "Your login had to be renewed first. It is renewed now, and you are still logged in.",
            "Go back with the Back button of your browser, where what you typed mostly is, and send it again.",
        ),
        way_on=WayOn("Open the page anew", back),
    )


PROBLEM_TITLES = {
    404: "There is no such page",
    429: "Too many tries",
    503: "We cannot do this right now",
}


def problem_page(status: int, code: str, request_id: str, *, detail: str = "") -> Message:
    """The generic error page: the stable *code* and the *request_id* are what support asks for."""
    return Message(
        title=PROBLEM_TITLES.get(status, "Something went wrong"),
        paragraphs=(detail or "Nothing was done. Please try again in a moment.",),
        way_on=WayOn("Start again", "/auth/login"),
        reference=f"{code} · {request_id}",
    )
