"""Mailer: turns an attempt to sign in into one mail, and says what became of it.

Consumes  ``login.requested`` (durable ``mailer`` on LOGIN).
Publishes ``mail.sent`` and ``mail.failed``: one of them for every request, unless OPS takes nothing.
Owns      ``lw:mail:<login_id>`` in Redis: how far the mail is, no address, two hours long.
Fails     without SMTP, Redis or NATS mail waits and the link's clock runs; a mail is never sent after
          its link has died. When the mail server refuses *us* (sign-in, sender, TLS) the consumer pauses
          for everybody, ``/ready`` says why, and it tries again by itself.

The states and the one window in which a mail can go out twice (byte for byte the same) are in
docs/adr/0002-mail-states.md.
"""
