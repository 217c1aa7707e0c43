"""Views to HTML: one environment, everything escaped, a missing name is an error and never a blank."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.auth.pages.assets import Assets
from services.auth.pages.views import View

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Site:
    """Whose pages these are: the name and host printed on top of each."""

    name: str
    host: str
    assets: Assets

    def asset(self, name: str) -> str:
        """The address of a static file."""
        return self.assets.url(name)


class Renderer:
    """Renders views for one installation."""

    def __init__(self, *, site_name: str, url: str, assets: Assets) -> None:
        """*url* is the public base URL; its host and port are printed on each page."""
        self._site = Site(site_name, urlsplit(url).netloc, assets)
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, view: View, *, at: str = "") -> str:
        """The page of *view*; *at*: it answers a form, and the browser shall take it for that page."""
        template = self._templates.get_template(view.template)
        return template.render(view=view, site=self._site, at=at).lstrip()
