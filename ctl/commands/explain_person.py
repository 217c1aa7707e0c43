"""``explain --person``: the rule as an edge tells it, the person as auth knows the account."""

from ctl import exits
from ctl.accounts_words import refused
from ctl.explained_person import judge, person_lines
from ctl.explanations import as_json, sentences
from ctl.output import complain, say, say_json
from ctl.people_rules import People
from ctl.session import Session
from shared.bus import NoAnswerError
from shared.contract import OP_EXPLAIN, OP_USERS_SHOW
from shared.messages import ExplainRequest, ShowUser

# What an edge says to a request without a token where the caller is all that matters.
_UP_TO_THE_CALLER = "no_credentials"


async def explain_person(
    session: Session, *, request: ExplainRequest, people: People, email: str
) -> int:
    """0 when edge and auth answered, whatever they said."""
    try:
        told = await session.bus.ask(OP_EXPLAIN, request, timeout=session.timeout)
        state = await session.bus.ask(OP_USERS_SHOW, ShowUser(email=email), timeout=session.timeout)
    except NoAnswerError as error:
        complain(f"nobody answered {error}: `latchwire status` shows who is there")
        return exits.FAILED
    if state.error:
        return refused(state.error)
    rule = told.route if told.reason == _UP_TO_THE_CALLER else None
    if session.json:
        judged = judge(rule, email, state) if rule else None
        person = judged and {"refused": judged.obstacles, "conditions": judged.conditions}
        say_json(as_json(told) | {"person": person})
        return exits.DONE
    lines = list(sentences(told, session.clock.now_ms(), people))
    if rule is not None:
        lines[:1] = person_lines(
            rule, email, state
        )  # not that a request without a token is refused
    for line in lines:
        say(line)
    return exits.DONE
