"""A rule of the catalogue as `explain` and `catalogue routes` tell it."""

from shared.catalogue.contradictions import is_under
from shared.catalogue.service import Service
from shared.messages import ExplainedRule


def explained_rule(service: Service, path: str) -> ExplainedRule:
    """The rule of *service* for *path*, which is one of its prefixes or below one."""
    own = max((p for p in service.paths if is_under(path, p)), key=len, default="")
    opened = max((p for p in service.public_paths if is_under(path, p)), key=len, default="")
    return ExplainedRule(
        service=service.name,
        host=service.host or "",
        path=max(own, opened, key=len),
        public=not service.require_auth or len(opened) > len(own),
        exposed=service.expose_publicly,
        token_types=service.token_types,
        roles=service.roles.any,
        all_roles=service.roles.all,
        emails=service.emails,
        organisations=service.organisations,
        login_age_ms=int((service.login_age_seconds or 0) * 1000),
        callers=service.callers,
        permissions=service.permissions.any,
        all_permissions=service.permissions.all,
        origins=service.allowed_origins,
        credentials=service.allow_credentials,
        max_staleness_ms=int((service.max_staleness_seconds or 0) * 1000),
    )
