"""The mails themselves: `write` turns a request into the bytes that go over the wire."""

from services.mailer.mails.write import MailWriter, Site

__all__ = ["MailWriter", "Site"]
