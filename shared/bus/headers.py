"""The headers of an event."""


def event_headers(subject: str, identity: str, source: str) -> dict[str, str]:
    """CloudEvents 1.0, binary mode; the id is also what JetStream deduplicates by."""
    return {
        "Nats-Msg-Id": identity,
        "ce-specversion": "1.0",
        "ce-id": identity,
        "ce-type": subject,
        "ce-source": f"latchwire/{source}",
    }
