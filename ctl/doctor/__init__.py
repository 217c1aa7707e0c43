"""``latchwire doctor``: attacks the operator's own installation and says what leaks, each with its cure.

`checks` is the table of all checks; `findings` is what is made of it. What is looked at on the bus:
`facts` (what workers tell), `grants` (what each credential really may), `catalogue`, `tokens`, `files`.
What is sent through the front door: `door` with the attempts of `tricks`, and `transport` for TLS.
"""
