"""The mailbox's two pages: what a mail says is escaped, its HTML shown in a sandbox without scripts."""

import re
from datetime import UTC, datetime
from html import escape

from ctl.up.mailbox.store import Mail

_URL = re.compile(r"https?://[^\s<>\"]+")
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
li { margin: .6rem 0; overflow-wrap: anywhere } small { opacity: .7 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit }
iframe { width: 100%; height: 32rem; border: 1px solid; background: white }
"""


def inbox(mails: list[Mail]) -> str:
    """The list; it looks for new mail by itself."""
    rows = "".join(
        f'<li><a href="/messages/{m.id}">{escape(m.subject) or "(no subject)"}</a><br>'
        f"<small>to {escape(m.to)}, {_time(m.at)}</small></li>"
        for m in mails
    )
    body = f"<ul>{rows}</ul>" if rows else "<p>No mail yet. This page looks again by itself.</p>"
    return _page("Development mailbox", body, '<meta http-equiv="refresh" content="3">')


def message(mail: Mail) -> str:
    """One mail: its text with links to click, and its HTML as a reader would see it."""
    body = (
        f'<p><a href="/">All mail</a></p><p><small>from {escape(mail.sender)}<br>to {escape(mail.to)}'
        f"<br>{_time(mail.at)}</small></p><pre>{linked(mail.text)}</pre>"
    )
    if mail.html:
        sandbox = "allow-popups allow-popups-to-escape-sandbox"
        body += (
            f'<h2>As HTML</h2><iframe sandbox="{sandbox}" src="/messages/{mail.id}/html" '
            'title="The mail as HTML"></iframe>'
        )
    return _page(mail.subject, body)


def linked(text: str) -> str:
    """*text* escaped, its web addresses as links."""
    pieces = []
    end = 0
    for match in _URL.finditer(text):
        url = escape(match.group().rstrip(".,;:!?)"))
        pieces += [escape(text[end : match.start()]), f'<a href="{url}" rel="noreferrer">{url}</a>']
        end = match.start() + len(match.group().rstrip(".,;:!?)"))
    return "".join([*pieces, escape(text[end:])])


def _page(title: str, body: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S UTC")
