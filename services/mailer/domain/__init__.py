"""The mailer's decisions: pure functions of what is known, the time and a random number."""
