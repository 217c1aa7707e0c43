"""What is the same for every request of one token to one service, kept with the token: one access finds it.

It goes when the token goes, or the catalogue's entry changes. Time, revocation, freshness and origin are no
part of it: they are asked on every request.
"""

from typing import Final

from services.edge.domain.decision import Standing, VerifiedToken
from services.edge.domain.rules import judge_always
from shared.catalogue import Service

MOST_PER_TOKEN: Final = 16  # services one caller uses at a time; about 1 kB each


def standing_of(token: VerifiedToken, service: Service) -> Standing:
    """How *token* stands at *service*, which is the very entry of the catalogue in force."""
    # By the entry itself: while a gateway is behind, two of one name are asked in turn.
    known = token.standings.get(id(service))
    if known is not None and known.service is service:
        return known
    if len(token.standings) >= MOST_PER_TOKEN:
        token.standings.clear()
    made = Standing(service, judge_always(service, token.claims))
    token.standings[id(service)] = made  # it holds the entry, so the number stays this entry's
    return made
