"""The kernel every worker stands on: contract, bus, settings, time, ids, logs, lifecycle.

Arrow: services -> shared -> latchwire (the SDK). Nothing here knows a worker.
"""
