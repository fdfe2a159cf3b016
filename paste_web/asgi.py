"""HTTP and websockets, and MCP beside Django. A websocket is accepted from our own pages only, with the login of the browser's session."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paste_web.settings")
_http = get_asgi_application()

from django.urls import re_path  # noqa: E402  (what follows needs the applications loaded above)

from paste_web.live import websocket_urlpatterns  # noqa: E402
from paste_web.mcp import McpEndpoint  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": URLRouter([re_path(r"^mcp(/|$)", McpEndpoint()), re_path(r"", _http)]),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
