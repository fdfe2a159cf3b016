"""Every address. Pages need a login; the API has its own keys."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from paste_web.pages import health, patterns, pausing, scheduler, session, sessions, tools
from paste_web.theme import choose_theme

urlpatterns = [
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(next_page="login"), name="logout"),
    path("theme/", choose_theme, name="theme"),
    path("", RedirectView.as_view(pattern_name="sessions"), name="home"),
    path("sessions/", sessions.sessions, name="sessions"),
    path("sessions/form/", sessions.submit_form, name="session-form"),
    path("sessions/<uuid:session_id>/", session.session_page, name="session"),
    path("sessions/<uuid:session_id>/live/", session.session_live, name="session-live"),
    path("sessions/<uuid:session_id>/calls/<str:pick>/", session.session_call, name="session-call"),
    path("sessions/<uuid:session_id>/stop/", session.stop_session, name="session-stop"),
    path("sessions/<uuid:session_id>/again/", session.run_again, name="session-again"),
    path("tools/", tools.tools, name="tools"),
    path("tools/<int:tool_id>/switch/", tools.switch_tool, name="tool-switch"),
    path("tools/<int:tool_id>/revoke/", tools.revoke_tool, name="tool-revoke"),
    path("tools/<str:server>/<path:name>/", tools.tool, name="tool"),
    path("patterns/", patterns.patterns, name="patterns"),
    path("scheduler/", scheduler.scheduler, name="scheduler"),
    path("scheduler/live/", scheduler.scheduler_live, name="scheduler-live"),
    path("scheduler/pause/", pausing.pause, name="pause"),
    path("scheduler/resume/", pausing.resume, name="resume"),
    path("scheduler/openings/<int:opening_id>/reset/", scheduler.reset_breaker, name="breaker-reset"),
    path("scheduler/breakers/<int:breaker_id>/", scheduler.adjust_breaker, name="breaker-adjust"),
    path("api/", include("paste_web.api.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
