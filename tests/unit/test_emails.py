"""One address, one form: whatever could be read in two ways is refused (yardstick M-17 to M-24)."""

import sys
import unicodedata

import idna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.emails import InvalidEmailError, canonical_email, is_canonical, limit_address
from tests.support.properties import examples

ACCEPTED = {
    "ada@example.com": "ada@example.com",
    "Ada.Lovelace+News@Example.COM": "ada.lovelace+news@example.com",
    "!#$%&'*+/?=^_`{|}~-@example.com": "!#$%&'*+/?=^_`{|}~-@example.com",
    "a@b.c": "a@b.c",
    "a@bücher.example": "a@xn--bcher-kva.example",
    "a@BÜCHER.example": "a@xn--bcher-kva.example",
    "a@bu\u0308cher.example": "a@xn--bcher-kva.example",
    "a@XN--BCHER-KVA.Example": "a@xn--bcher-kva.example",
    "a@faß.de": "a@xn--fa-hia.de",
    "a@日本.jp": "a@xn--wgv71a.jp",
    "a@p\u0430ypal.com": "a@xn--pypal-4ve.com",  # a Cyrillic letter: another domain, and it shows
    f"{'a' * 64}@{'b' * 63}.{'c' * 63}.com": f"{'a' * 64}@{'b' * 63}.{'c' * 63}.com",
}
REFUSED = {
    "": "empty",
    "a" * 300 + "@b.com": "too_long",
    "a" * 65 + "@b.com": "too_long",
    "plain": "at_sign",
    "a@b@c.com": "at_sign",
    "a\uff20b.com": "at_sign",
    "a\ufe6bb.com": "at_sign",
    "a@evil.com\uff20good.com": "look_alike",
    "=?x?q?a=40evil.com=3e=20?=foo@good.com": "encoded_word",
    "=?iso-8859-1?q?=61=62=63?=@good.com": "encoded_word",
    "=?utf-7?q?&AEEAQA-evil.com&AD4-?=x@good.com": "encoded_word",
    "a@=?x?q?evil.com?=": "encoded_word",
    "a@evil.com>x@good.com": "display_name",
    "<a@b.com>": "display_name",
    "Ada<a@b.com>": "display_name",
    "a@b.com,c@d.com": "display_name",
    "a(comment)@b.com": "display_name",
    "group:a@b.com;": "display_name",
    "a@[127.0.0.1]": "display_name",
    "Ada <a@b.com>": "whitespace",
    " a@b.com": "whitespace",
    "a@b.com ": "whitespace",
    "a b@c.com": "whitespace",
    "a@b.com> NOTIFY=SUCCESS": "whitespace",
    "a\u00a0@b.com": "control",
    "a@b.com\n": "control",
    "a@b.com\r\nBcc: e@evil.com": "control",
    "a\x00@b.com": "control",
    "a\x0b\x0c@b.com": "control",
    "a\x1c@b.com": "control",
    "a\x85@b.com": "control",
    "a\u2028@b.com": "control",
    "a\u200b@b.com": "control",
    "a@exam\u00adple.com": "control",
    "a@b\ud800.com": "control",
    "m\u0131ke@example.com": "non_ascii_local",
    "ⓐ@example.com": "non_ascii_local",
    "é@example.com": "non_ascii_local",
    '"a"@b.com': "quoted_local",
    "a\\b@c.com": "quoted_local",
    ".a@b.com": "local_part",
    "a.@b.com": "local_part",
    "a..b@c.com": "local_part",
    "@b.com": "local_part",
    "a@ⓔxample.com": "look_alike",
    "a@\u212aelvin.com": "look_alike",
    "a@x\uff0ecom": "look_alike",
    "a@x\u3002com": "look_alike",
    "a@ﬀ.com": "look_alike",
    "a@": "domain",
    "a@localhost": "domain",
    "a@b.com.": "domain",
    "a@.b.com": "domain",
    "a@b..com": "domain",
    "a@1.2.3.4": "domain",
    "a@a_b.com": "domain",
    "a@-a.com": "domain",
    "a@a-.com": "domain",
    "a@ab--cd.com": "domain",
    "a@b/c.com": "domain",
    "a@xn--abc-.com": "domain",
    "a@xn--bcher-kva\u0301.com": "domain",
    f"a@{'b' * 64}.com": "domain",
    "a@☃\ufe0f.com": "look_alike",
    "a@☃.com": "domain",
}


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.items())
def test_an_address_has_one_canonical_form(text: str, expected: str) -> None:
    """However it is typed, identity and limits see the same text."""
    assert canonical_email(text) == expected
    assert canonical_email(expected) == expected


@pytest.mark.parametrize(("text", "code"), REFUSED.items())
def test_what_two_parsers_could_read_differently_is_refused(text: str, code: str) -> None:
    """Splitting, spoofing and injection forms never become an identity."""
    with pytest.raises(InvalidEmailError) as refusal:
        canonical_email(text)

    assert refusal.value.code == code
    assert str(refusal.value) == code


def _canonical_or_none(text: str) -> str | None:
    try:
        return canonical_email(text)
    except InvalidEmailError:
        return None


# Text of chance is no address: one is put together, of what is mapped, refused or read in two ways.
_LOCALS = st.lists(
    st.sampled_from([*'aA1.+-_=?<"', "Ada", "i\u0307", "\u00e9"]), min_size=1, max_size=3
)
_LABELS = st.lists(
    st.sampled_from(
        [
            *(
                "a",
                "Z",
                "1",
                "-",
                "xn--",
                "xn--bcher-kva",
                "XN--",
                "\u00fc",
                "u\u0308",
                "\u00df",
                "\u1e9e",
                "\u03c2",
            ),
            *(
                "\u03a3",
                "\u24d4",
                "\uff45",
                "\u0130",
                "\u0131",
                "\u017f",
                "\u212a",
                "\u00ad",
                "\u200d",
                "\u200c",
            ),
            *("\u0915\u094d", "\u00b5", "\ufb01", "\u0438", "\u65e5", "\u05d0", "\u0661", "_", "%"),
        ]
    ),
    min_size=1,
    max_size=3,
).map("".join)
_DOTS = st.sampled_from([".", ".", ".", ".", "\u3002", "\uff0e", "\uff61", ".."])
_DOMAINS = st.tuples(_LABELS, _DOTS, _LABELS, st.sampled_from(["", "", "", ".", ".com"])).map(
    "".join
)
_ADDRESSES = st.tuples(_LOCALS.map("".join), st.just("@"), _DOMAINS).map("".join)


@given(st.text(max_size=260) | st.emails() | _ADDRESSES)
@settings(max_examples=examples(300))
def test_canonicalising_twice_changes_nothing(text: str) -> None:
    """f(f(x)) == f(x): nobody signs in as another by being canonicalised once more (M-17)."""
    once = _canonical_or_none(text)

    if once is not None:
        assert canonical_email(once) == once
        assert is_canonical(once)
        assert once.isascii()
        assert once == once.lower()


def _mapping_touches_ascii(char: str) -> bool:
    """Whether any mapping in use makes ASCII, or nothing, of some of *char*."""
    forms = [char.lower(), char.upper(), char.casefold()]
    forms += [unicodedata.normalize(form, char) for form in ("NFKC", "NFKD")]
    try:
        forms.append(idna.uts46_remap(char, std3_rules=True, transitional=False))
    except idna.IDNAError:
        forms.append(char)
    return any(not form or any(c.isascii() for c in form) for form in forms)


def test_no_code_point_turns_into_somebody_elses_address() -> None:
    """Every Unicode character, in either part, is refused or stays apart from ASCII (M-19)."""
    everything = [chr(number) for number in range(0x80, sys.maxunicode + 1)]
    assigned = [c for c in everything if unicodedata.category(c) not in {"Cn", "Co", "Cs"}]
    look_alikes = [c for c in assigned if _mapping_touches_ascii(c)]

    in_local = [c for c in assigned if _canonical_or_none(f"a{c}b@example.com")]
    domains = [_canonical_or_none(f"a@a{c}b.com") for c in look_alikes]

    assert in_local == []
    assert len(look_alikes) > 1400
    assert [d for d in domains if d is not None and "xn--" not in d] == []


def test_two_spellings_are_one_address_exactly_when_identity_says_so() -> None:
    """Dots and tags stay part of the identity (M-20)."""
    assert canonical_email("a.b@example.com") != canonical_email("ab@example.com")
    assert canonical_email("a+x@example.com") != canonical_email("a@example.com")


def test_limits_count_without_the_tag_and_keep_the_rest() -> None:
    """A tag does not buy five more mails; dots may be another person."""
    assert limit_address("ada+news+more@example.com") == "ada@example.com"
    assert limit_address("a.da@example.com") == "a.da@example.com"
    assert limit_address("+tag@example.com") == "+tag@example.com"


def test_a_refusal_does_not_repeat_the_address() -> None:
    """The error may be logged; the address may not."""
    with pytest.raises(InvalidEmailError) as refusal:
        canonical_email("ada canary@example.com")

    assert "canary" not in str(refusal.value)
