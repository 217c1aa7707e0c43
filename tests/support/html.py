"""Pages taken apart, so that tests speak of what a page means and not of its bytes."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img"}
Attributes = dict[str, str | None]


@dataclass
class Form:
    """A form: where it goes and what it carries before anybody types."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Page(HTMLParser):
    """Every tag with its attributes, the forms, the inputs of each form, and the text a person reads."""

    tags: list[tuple[str, Attributes]] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    inputs: list[list[Attributes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "form":
            self.forms.append(Form(attributes["action"] or "", attributes["method"] or ""))
            self.inputs.append([])
        if tag == "input" and self.forms and "form" in self.open:
            self.inputs[-1].append(attributes)
            self.forms[-1].fields[attributes["name"] or ""] = attributes.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[Attributes]:
        """The attributes of every *tag*."""
        return [attributes for name, attributes in self.tags if name == tag]

    def form(self, action: str, **fields: str) -> Form:
        """The form that posts to *action* and has *fields*; there must be exactly one."""
        (found,) = [
            f for f in self.forms if f.action == action and fields.items() <= f.fields.items()
        ]
        return found

    @property
    def text(self) -> str:
        """What a person reads, spaces evened out."""
        return " ".join(" ".join(self.words).split())


def parse_page(html: str) -> Page:
    """The page of *html*; its tags must be balanced."""
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page
