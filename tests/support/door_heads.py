"""A check's head as each of the five proxies writes it, for one original request."""

HOST = "localhost:8080"


PROXIES = ("traefik", "nginx", "caddy", "envoy", "haproxy")


def line_of(proxy: str, target: str, method: str = "GET", service: str = "") -> bytes:
    """The request line of the check; with *service*, of the one that the proxy says it serves."""
    path = f"/check/{proxy}" + (f"/{service}" if service else "")
    if proxy == "envoy":  # the request's own method and target
        return f"{method} {path}/@{target} HTTP/1.1".encode("utf-8", "surrogateescape")
    return f"GET {path} HTTP/1.1".encode()


def head_of(proxy: str, target: str, method: str = "GET", proto: str = "http") -> bytes:
    """The header lines in which this proxy says what it was asked for."""
    if proxy == "envoy":
        lines = [f"X-Forwarded-Proto: {proto}"]
    elif proxy == "nginx":
        url = f"{proto}://{HOST}{target}"
        lines = [f"X-Original-Method: {method}", f"X-Original-URL: {url}"]
    else:
        lines = [
            f"X-Forwarded-Method: {method}",
            f"X-Forwarded-Proto: {proto}",
            f"X-Forwarded-Host: {HOST}",
            f"X-Forwarded-Uri: {target}",
        ]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
