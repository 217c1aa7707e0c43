"""`latchwire up`: everything on one machine from one command, with the real servers and the real permissions.

command.py    the arguments, and what is printed
ports.py      free ports, and taken ones named before anything starts
layout.py     what the state directory holds, and what is written into it
plan.py       the parts: command lines, environments, how each shows that it is ready
probes.py     asking a part over its own protocol whether it is ready
process.py    starting and ending one process, so that none is left behind
supervisor.py the order: up in waves, down in the reverse order, all or none
refusals.py   the edge's refusals as lines for people
watch.py      services.yaml, published when it changes
mailbox/      the development mailbox       demo.py   the demo service
"""
