"""What keeps other web pages out: names of the server, origins of pages, and headers for the browser.

Any web page can make a browser call a local server. Two checks stop that. The `Host` header must name the server, or a
name that an attacker points at a local address would reach it (DNS rebinding): Starlette's `TrustedHostMiddleware`.
The `Origin` header, which browsers always send with a WebSocket, must name an allowed page: `OriginCheck`.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fewbit.errors import ServerError

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def secure(application: Starlette, hosts: Sequence[str] | None) -> None:
    """Add the headers to all answers of `application`; with `hosts`, answer only requests that name one of them."""
    if hosts is not None:
        # The middleware compares IPv6 addresses as they stand in the header, with brackets.
        names = [f"[{host}]" if ":" in host else host for host in hosts]
        application.add_middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)
    application.add_middleware(SecurityHeaders)  # added last, so it is outermost and refusals have the headers as well


class SecurityHeaders:
    """ASGI middleware that adds `HEADERS` to every response. Starlette has none for this."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the inner application."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class OriginCheck:
    """Whether a page may open a WebSocket: those of `origins` and of the server itself may.

    Starlette's `CORSMiddleware` does not cover WebSockets, so the check is here. Clients that are no browsers send no
    `Origin` and are allowed.

    Raises:
        ServerError: an origin has no scheme of the web, or a path.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        for origin in origins:
            if urlsplit(origin).scheme not in ("http", "https") or urlsplit(origin).path:
                raise ServerError(f"origins: wanted such as https://example.org, not {origin!r}")
        self._origins = {origin.lower() for origin in origins}

    def allows(self, headers: Headers) -> bool:
        """Whether the client with these headers may connect."""
        origin = headers.get("origin")
        if origin is None or origin.lower() in self._origins:
            return True
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
