"""What a person logging in sees: view models, their templates, one style sheet and two small scripts.

Nothing here decides anything or touches a store: `services.auth.http.pages` asks the flows, makes a
view of the answer and hands it to the `Renderer`. The product's own name is on none of these pages.
"""

from services.auth.pages.assets import Asset, Assets
from services.auth.pages.render import Renderer
from services.auth.pages.views import View

__all__ = ["Asset", "Assets", "Renderer", "View"]
