"""What the pages say about deletion and import is what the code does."""

import re
from pathlib import Path

import pytest

from ctl import import_lines
from services.auth.domain import foreign_hashes, hash_formats, importing
from services.auth.domain.deletion import DELAYS_MS, entry_ids, parse_deadline, parse_services
from shared.contract import BLOCKLIST, DOCUMENT, SNAPSHOT, STREAMS

ROOT = Path(__file__).resolve().parents[2]
SECONDS = {"hour": 3600, "day": 86_400}
LEFT = (ROOT / "SECURITY.md").read_text().partition("### What is left of a deleted account")[2]
IMPORT = (ROOT / "docs" / "import.md").read_text()


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under *heading*."""
    table = text.partition(heading)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def test_no_stream_keeps_anything_of_a_deleted_person_longer_than_is_said() -> None:
    """Every stream has a row; its age is the row's, and none is beyond the stated thirty days."""
    stated = {name: text for name, _, text in rows(LEFT, "| stream | what of a deleted person")}
    ages = {stream.name: stream.max_age for stream in STREAMS}

    assert stated.keys() == ages.keys()
    ageless = {BLOCKLIST.name, SNAPSHOT.name, DOCUMENT.name}  # keyed hashes with lives of their own
    for name in stated.keys() - ageless:
        found = re.fullmatch(r"(\d+) (hour|day)s?", stated[name])
        age = ages[name]
        assert found, name
        assert age is not None
        assert int(found[1]) * SECONDS[found[2]] == age.total_seconds()
    (most,) = re.findall(r"After \*\*(\d+) days\*\* no stream", LEFT)
    longest = max(age.days for age in ages.values() if age is not None)
    assert longest == int(most)


def test_every_problem_of_an_import_is_explained() -> None:
    """The codes of the table are those of the code."""
    explained = {
        code for row in rows(IMPORT, "| code | the line |") for code in re.findall(r"`(\w+)`", row[0])
    }  # fmt: skip
    own, hashes = (
        "".join(Path(str(module.__file__)).read_text() for module in modules)
        for modules in ((importing, import_lines), (foreign_hashes, hash_formats))
    )
    said = set(re.findall(r'(?:\(|number,)\s*"([a-z_]+)",\s*(?:f?"|", "|what)', own))
    said |= set(re.findall(r'"(invalid_fields)"', own)) | set(re.findall(r'"(hash_\w+)"', hashes))

    assert said == explained


def test_the_costs_of_hashes_are_those_of_the_code() -> None:
    """Least and most, kind by kind."""
    told = {row[0]: row[2] for row in rows(IMPORT, "| kind | as in |")}
    bounds = {
        "bcrypt": ["8", "14"],
        "Argon2": [*numbers(foreign_hashes.ARGON2_MEMORY), *numbers(foreign_hashes.ARGON2_WORK)],
        "scrypt": ["2^17", "2^21", "2^20"],
        "PBKDF2": numbers(foreign_hashes.PBKDF2),
    }
    work, memory = foreign_hashes.SCRYPT_WORK, foreign_hashes.SCRYPT_MEMORY

    assert numbers(foreign_hashes.BCRYPT) == bounds["bcrypt"]
    assert (work.least, work.most, memory.most) == (2**17, 2**21, 2**20)
    for kind, wanted in bounds.items():
        assert [number for number in wanted if number not in told[kind]] == [], kind


def numbers(bounds: foreign_hashes.Bounds) -> list[str]:
    """As the page writes them."""
    return [f"{bounds.least:,}", f"{bounds.most:,}"]


def test_the_pauses_between_questions_are_those_of_the_code() -> None:
    """The contract names each."""
    text = (ROOT / "docs" / "contract.md").read_text()
    (told,) = re.findall(r"asked again after ([\d, ]+) and then every (\d+) seconds", text)

    assert [*map(int, told[0].split(",")), int(told[1])] == [ms // 1000 for ms in DELAYS_MS[1:]]


SETTINGS = {
    "shop, billing,shop": ("shop", "billing"),
    "": (),
    " , ": (),
}
WRONG_SERVICES = ("auth", "Shop", "shop.eu", "a b", "user.erase.*", "s" * 41, "\u017fhop")
WRONG_DEADLINES = ("", "7", "0d", "91d", "7w", "-1d", "1.5d", "\u0667d", "2161h")


@pytest.mark.parametrize(("text", "names"), SETTINGS.items())
def test_services_are_named_once_each(text: str, names: tuple[str, ...]) -> None:
    """In the order given."""
    assert parse_services(text) == names


@pytest.mark.parametrize("text", WRONG_SERVICES)
def test_what_can_be_no_services_credential_is_refused(text: str) -> None:
    """`auth` stands for auth itself."""
    with pytest.raises(ValueError, match="services add"):
        parse_services(text)


def test_a_deadline_is_hours_or_days() -> None:
    """At most ninety days."""
    assert parse_deadline("12h") == 12 * 3_600_000
    assert parse_deadline("90d") == 90 * 86_400_000
    for text in WRONG_DEADLINES:
        with pytest.raises(ValueError, match="12h or 7d"):
            parse_deadline(text)


def test_the_entries_of_a_deletion_have_ids_of_their_own_in_order() -> None:
    """The three numbers after it, over every carry."""
    for deletion in ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69GZZZZ", "0" * 26):
        ids = (deletion, *entry_ids(deletion))
        assert sorted(set(ids)) == list(ids)
        assert {len(one) for one in ids} == {26}
    assert entry_ids("01ARZ3NDEKTSV4RRFFQ69GZZZY")[1] == "01ARZ3NDEKTSV4RRFFQ69H0000"
