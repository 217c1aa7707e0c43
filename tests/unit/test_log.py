"""Logs carry no local variables, no inputs, and nothing under a telling name."""

import gc
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from aiohttp.http_exceptions import BadHttpMessage

from shared.log import configure_logging
from shared.messages import LoginRequested


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """Leave logging as it was found; what other tests have left is not collected and told of meanwhile."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    gc.disable()
    yield
    gc.enable()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_traceback_shows_no_local_variable(fmt: str, capsys: pytest.CaptureFixture[str]) -> None:
    """structlog's default dictionary tracebacks print every local; ours must not."""
    configure_logging(worker="test", level="debug", fmt=fmt)

    def fail(password: str) -> None:
        raise RuntimeError(f"went wrong with {len(password)} characters")

    try:
        fail("".join(["CAN", "ARY"]))
    except RuntimeError:
        structlog.get_logger().exception("thing.failed")
    out = capsys.readouterr().out

    assert "thing.failed" in out
    assert "RuntimeError" in out
    assert "CANARY" not in out


def test_a_field_with_a_telling_name_is_blotted(capsys: pytest.CaptureFixture[str]) -> None:
    """The second fence: somebody logs a token after all."""
    configure_logging(worker="test", level="info", fmt="json")

    structlog.get_logger().info(
        "x.done", refresh_token="CANARY", email="CANARY", sid="s1", smtp_code=250
    )
    line = json.loads(capsys.readouterr().out)

    assert (line["sid"], line["smtp_code"], line["worker"]) == ("s1", 250, "test")
    assert "CANARY" not in json.dumps(line)


def test_a_newline_in_a_value_stays_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody forges a log line through a user agent."""
    configure_logging(worker="test", level="info", fmt="json")

    structlog.get_logger().info("x.done", agent='a\r\n{"event":"forged"}\x1b[2J')

    assert len(capsys.readouterr().out.strip().splitlines()) == 1


def test_bytes_that_are_no_http_are_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """aiohttp's own error shows the line it could not parse: an Authorization header, say."""
    configure_logging(worker="test", level="debug", fmt="json")

    unreadable = BadHttpMessage("Invalid header token: Authorization Bearer CANARY")
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=unreadable)
    line = json.loads(capsys.readouterr().out)

    assert (line["event"], line["level"]) == ("request.unreadable", "info")
    assert "CANARY" not in json.dumps(line)


def test_a_message_never_shows_its_values() -> None:
    """A model in an exception's arguments prints its name only."""
    message = LoginRequested(
        id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        at=1,
        login_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        email="CANARY@example.com",
        expires_at=2,
    )

    assert "CANARY" not in repr(message)
    assert "CANARY" not in str(message)
