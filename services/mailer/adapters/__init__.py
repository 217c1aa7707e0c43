"""The outside: Redis for states, aiosmtplib for the mail server."""
