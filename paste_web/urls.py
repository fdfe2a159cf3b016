"""Every address. Pages need a login; the API has its own keys."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from paste_web.theme import choose_theme

urlpatterns = [
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(next_page="login"), name="logout"),
    path("theme/", choose_theme, name="theme"),
    path("api/", include("paste_web.api.urls")),
]
