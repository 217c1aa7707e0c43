"""Who put an application behind the door and did not start it reads so, once."""

import json

import pytest

from ctl.up.away import Absent

SHOP = "http://localhost:3000"
SAID = f"no answer  shop  does not answer at {SHOP}: is it started?"


def entry(status: object, router: object = "service-shop-0@http") -> str:
    """A line of Traefik's access log."""
    return json.dumps({"RouterName": router, "DownstreamStatus": status})


async def said(*lines: str, listening: bool = False) -> list[str]:
    """What is told of *lines*."""
    told: list[str] = []

    async def listens(upstream: str) -> bool:
        assert upstream == SHOP
        return listening

    absent = Absent(lambda: {"shop": SHOP, "shop-1": "http://b"}, listens, told.append)
    for line in lines:
        await absent.hear(line)
    return told


@pytest.mark.parametrize(
    ("statuses", "times"),
    [
        ([502], 1),
        ([504], 1),
        ([502, 502, 504], 1),
        ([502, 302, 401, 502], 1),  # the edge's words, not the application's
        ([502, 200, 502], 2),
        ([200, 401, 404, 500, 503], 0),
    ],
)
async def test_each_is_told_of_once_until_it_has_answered(statuses: list[int], times: int) -> None:
    """A page asks for twenty files, and a browser again and again."""
    assert await said(*map(entry, statuses)) == [SAID] * times


async def test_an_application_that_listens_has_said_502_itself() -> None:
    """Behind it something of its own does not answer."""
    assert await said(entry(502), listening=True) == []


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "no json",
        entry(502, "auth@http"),
        entry(502, "service-gone-0@http"),
        entry(502, None),
        entry("502"),
        entry(None),
    ],
)
async def test_what_is_of_no_service_is_passed_over(line: str) -> None:
    """Lines that are torn or odd, auth, and a service that is not there any more."""
    assert await said(line) == []
