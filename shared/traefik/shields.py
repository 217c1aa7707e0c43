"""What a service is shielded with besides the check: rate limits, CORS, security headers."""

from typing import Any, Final

from shared.catalogue.service import UPSTREAM, RateLimit, Service
from shared.traefik.gateway import Gateway

HSTS_SECONDS: Final = 31_536_000
REFERRER_POLICY: Final = "strict-origin-when-cross-origin"
# Nothing that an ordinary page needs: where its scripts, styles and forms go is for who knows the page to say.
CONTENT_SECURITY_POLICY: Final = "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"
CORS_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Named, because "*" names no Authorization, and nothing at all with credentials (Fetch, §3.3.3).
CORS_HEADERS: Final = (
    "Accept",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Traceparent",
    "X-CSRF-Token",
    "X-Request-Id",
    "X-Requested-With",
)
CORS_EXPOSED: Final = (
    "ETag",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Latchwire-Reason",  # by which latchwire.js knows a token that it can renew
    "X-Request-Id",
)
CORS_REMEMBERED_SECONDS: Final = 600
# One subscriber has as many addresses as they like within it.
IPV6_SUBNET: Final = 64


def security_headers(gateway: Gateway) -> dict[str, Any]:
    """For every answer, refusals too. HSTS only where people come by https: plain http may not carry it."""
    headers: dict[str, Any] = {
        "contentTypeNosniff": True,
        "frameDeny": True,
        "referrerPolicy": REFERRER_POLICY,
    }
    if gateway.secure:
        headers |= {"stsSeconds": HSTS_SECONDS, "forceSTSHeader": True}
    return {"headers": headers}


def content_security_policy(service: Service) -> dict[str, Any] | None:
    """For the service's own answers: the edge's pages have a policy of their own. It replaces the service's.

    None: the service's is left alone.
    """
    if service.content_security_policy == UPSTREAM:
        return None
    policy = service.content_security_policy or CONTENT_SECURITY_POLICY
    return {"headers": {"contentSecurityPolicy": policy}}


def cors(service: Service) -> dict[str, Any]:
    """Answers preflights, and lets scripts of the origins read refusals as well as answers."""
    return {
        "headers": {
            "accessControlAllowOriginList": list(service.allowed_origins),
            "accessControlAllowCredentials": service.allow_credentials,
            "accessControlAllowMethods": list(CORS_METHODS),
            "accessControlAllowHeaders": list(CORS_HEADERS),
            "accessControlExposeHeaders": list(CORS_EXPOSED),
            "accessControlMaxAge": CORS_REMEMBERED_SECONDS,
            "addVaryHeader": True,
        }
    }


def rate_limit(limit: RateLimit) -> dict[str, Any]:
    """Of one address as Traefik sees it (IPv6: of its /64); before the check, so that it shields that too."""
    return {
        "rateLimit": {
            "average": limit.count,
            "period": f"{limit.seconds:g}s",
            "burst": limit.burst,
            "sourceCriterion": {"ipStrategy": {"ipv6Subnet": IPV6_SUBNET}},
        }
    }
