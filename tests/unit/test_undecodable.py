"""What a dead letter says of a message that is not its model: the rule it broke, and nothing of its text."""

from pydantic import ValidationError

from shared.bus.undecodable import LONGEST, why_undecodable
from shared.messages.base import Message, ShortText

CANARY = "hunter2"


class Nested(Message):
    """A message with every place an input could show."""

    name: ShortText
    counts: dict[str, int] | None = None
    pairs: tuple[tuple[int, int], ...] = ()
    a: int = 0
    b: int = 0
    c: int = 0


def why(body: str) -> str:
    """The reason that *body* is refused with."""
    try:
        Nested.model_validate_json(body, extra="ignore")
    except ValidationError as error:
        return why_undecodable(error)
    raise AssertionError("it was taken")


def test_neither_a_value_nor_a_key_of_the_input_is_in_it() -> None:
    """Wherever it stands: as a value, as a key of a mapping, inside broken JSON, in a name we do not know."""
    for body in (
        f'{{"name":"x\\u0000{CANARY}"}}',
        f'{{"name":"n","counts":{{"{CANARY}":"{CANARY}"}}}}',
        f'{{"name":"n","pairs":[["{CANARY}",1]]}}',
        f'{{"name":{CANARY}}}',
        f'{{"{CANARY}":1}}',
        f'"{CANARY}"',
    ):
        assert CANARY not in why(body), body


def test_several_mistakes_are_named_three_and_the_rest_counted() -> None:
    """A dead letter's reason is short."""
    told = why('{"name":7,"a":"x","b":"x","c":"x"}')

    assert told.startswith("undecodable: name: Input should be a valid string (string_type); a: ")
    assert len(told) <= LONGEST
    assert why('{"a":"9","name":{},"b":[]}').count(";") == 1


def test_what_is_no_validation_error_is_told_by_its_type() -> None:
    """Its text could quote what was read."""
    assert why_undecodable(ValueError(CANARY)) == "undecodable: ValueError"
