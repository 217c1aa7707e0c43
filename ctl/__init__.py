"""The operator's command line: ``./latchwire …`` in a checkout, the entry point of the image.

It knows no worker: it speaks on the bus with credentials of its own, and asks whoever owns the state.
"""
