"""The HTTP doors of auth: JSON routes here, pages in the modules named pages*. Thin: flows decide."""
