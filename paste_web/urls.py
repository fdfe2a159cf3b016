"""Every address. Pages need a login; the API has its own keys."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from paste_web.pages import (
    audit,
    compare,
    connect,
    exports,
    health,
    overview,
    pattern,
    patterns,
    pausing,
    savings,
    scheduler,
    session,
    sessions,
    tool_decision,
    tools,
)
from paste_web.theme import choose_theme

admin.autodiscover()

urlpatterns = [
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(next_page="login"), name="logout"),
    path("theme/", choose_theme, name="theme"),
    path("", overview.overview, name="overview"),
    path("sessions/", sessions.sessions, name="sessions"),
    path("sessions/form/", sessions.submit_form, name="session-form"),
    path("sessions/export.csv", exports.sessions_csv, name="sessions-csv"),
    path("sessions/<uuid:session_id>/", session.session_page, name="session"),
    path("sessions/<uuid:session_id>/live/", session.session_live, name="session-live"),
    path("sessions/<uuid:session_id>/trace.json", exports.session_trace, name="session-trace"),
    path("sessions/<uuid:session_id>/calls.csv", exports.session_calls_csv, name="session-calls-csv"),
    path("sessions/<uuid:session_id>/calls/<str:pick>/", session.session_call, name="session-call"),
    path("sessions/<uuid:session_id>/stop/", session.stop_session, name="session-stop"),
    path("sessions/<uuid:session_id>/again/", session.run_again, name="session-again"),
    path("compare/", compare.compare, name="compare"),
    path("tools/", tools.tools, name="tools"),
    path("tools/<int:tool_id>/switch/", tools.switch_tool, name="tool-switch"),
    path("tools/revoke/", tools.revoke_tools, name="tools-revoke"),
    path("tools/<int:tool_id>/revoke/", tools.revoke_tool, name="tool-revoke"),
    path("tools/<int:tool_id>/declare/", tool_decision.declare_tool, name="tool-declare"),
    path("tools/<int:tool_id>/price/", tool_decision.price_tool, name="tool-price"),
    path("tools/<int:tool_id>/try/", tool_decision.try_arguments, name="tool-try"),
    path("tools/<str:server>/<path:name>/", tool_decision.tool, name="tool"),
    path("patterns/", patterns.patterns, name="patterns"),
    path("patterns/switch/", patterns.switch_patterns, name="patterns-switch"),
    path("patterns/<int:pattern_id>/", pattern.pattern, name="pattern"),
    path("patterns/<int:pattern_id>/revert/", pattern.revert_pattern, name="pattern-revert"),
    path("savings/", savings.savings_page, name="savings"),
    path("savings/tools.csv", savings.savings_csv, name="savings-csv"),
    path("scheduler/", scheduler.scheduler, name="scheduler"),
    path("scheduler/live/", scheduler.scheduler_live, name="scheduler-live"),
    path("scheduler/pause/", pausing.pause, name="pause"),
    path("scheduler/resume/", pausing.resume, name="resume"),
    path("scheduler/openings/<int:opening_id>/reset/", scheduler.reset_breaker, name="breaker-reset"),
    path("scheduler/breakers/<int:breaker_id>/", scheduler.adjust_breaker, name="breaker-adjust"),
    path("audit/", audit.audit, name="audit"),
    path("audit/export.csv", audit.audit_export, name="audit-export"),
    path("connect/", connect.connect, name="connect"),
    path("connect/keys/<int:key_id>/revoke/", connect.revoke_key, name="key-revoke"),
    path("connect/keys/<int:key_id>/first-call/", connect.first_call, name="first-call"),
    path("api/", include("paste_web.api.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
