"""The development mailbox: takes every mail over SMTP, keeps it in memory, shows it on a page and as JSON.

It delivers nothing to anybody and is no part of production.
Run: ``python -m ctl.up.mailbox SMTP-PORT WEB-PORT``.
"""
