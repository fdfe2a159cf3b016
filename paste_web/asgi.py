"""HTTP and websockets. A websocket is accepted from our own pages only, with the login of the browser's session."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paste_web.settings")
_http = get_asgi_application()

from paste_web.live import websocket_urlpatterns  # noqa: E402  (its models need the applications loaded above)

application = ProtocolTypeRouter(
    {
        "http": _http,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
