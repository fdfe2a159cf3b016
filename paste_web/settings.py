"""Settings, all of them from the environment. README.md lists the variables; bad values end the program with one line."""

import sys
from pathlib import Path

from celery.schedules import crontab

from paste_web import environment
from paste_web.embedded_running import running

BASE_DIR = Path(__file__).resolve().parent.parent

# Everything this installation keeps: embedded servers' data, run files, logs, generated secrets, worlds of sessions.
PASTE_HOME = environment.private_folder("PASTE_HOME", BASE_DIR / ".paste")
PASTE_WORLDS = environment.private_folder("PASTE_WORLDS", PASTE_HOME / "worlds")

SECRET_KEY = environment.kept_secret("PASTE_SECRET_KEY", PASTE_HOME / "secret-key")
DEBUG = environment.yes_or_no("PASTE_DEBUG", False)
ALLOWED_HOSTS = environment.listing("PASTE_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])

# Servers: the given addresses, else those of embedded servers that run under PASTE_HOME, else nowhere (commands that
# need servers start them before these settings are read, see manage.py).
_embedded = running(PASTE_HOME)
_nowhere = f"postgresql://paste@/paste?host={PASTE_HOME / 'run'}"
_postgres = ["postgresql", "postgres"]
DATABASE_URL = environment.url("DATABASE_URL", _embedded.database_url if _embedded else _nowhere, _postgres)
PASTE_LISTEN_URL = environment.url("PASTE_LISTEN_URL", DATABASE_URL, _postgres)
PASTE_BROKER_URL = environment.url(
    "PASTE_BROKER_URL", _embedded.broker_url if _embedded else "redis://127.0.0.1:6379/0", ["redis", "rediss"]
)

# Waiting sessions and streams hold no connection, so a small pool serves many of them. Django's own default of 4
# starves long tasks after 30 s: these are explicit.
PASTE_DATABASE_POOL = environment.whole_number("PASTE_DATABASE_POOL", 8, least=2, most=500)
DATABASES = {"default": environment.database_from_url("DATABASE_URL", DATABASE_URL)}
DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": PASTE_DATABASE_POOL, "timeout": 5}
# Statements that come again and again are prepared; not behind a pooler that hands each transaction another connection and
# knows nothing of prepared statements.
if environment.yes_or_no("PASTE_PREPARED_STATEMENTS", True):
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 2
DATABASES["default"]["TEST"] = {"NAME": "paste_test"}

# The model that agents without a script talk to.
PASTE_LLM_BASE_URL = environment.url("PASTE_LLM_BASE_URL", "", ["http", "https"])
PASTE_LLM_KEY = environment.text("PASTE_LLM_KEY")
PASTE_LLM_MODEL = environment.text("PASTE_LLM_MODEL")
# Requests at once at each model endpoint (0: no limit), and who goes first: "gain" (exposed tool gain / model pressure +
# ageing) or "arrival".
PASTE_MOST_MODEL_REQUESTS = environment.whole_number("PASTE_MOST_MODEL_REQUESTS", 0, most=10_000)
PASTE_MODEL_ORDER = environment.text("PASTE_MODEL_ORDER", "gain")
if PASTE_MODEL_ORDER not in ("gain", "arrival"):
    environment.refuse("PASTE_MODEL_ORDER", "gain or arrival")

# Tool slots, and how many of them speculation may never take.
PASTE_TOOL_SLOTS = environment.whole_number("PASTE_TOOL_SLOTS", 6, least=1, most=1000)
PASTE_TOOL_RESERVED = environment.whole_number("PASTE_TOOL_RESERVED", 1, most=1000)
if PASTE_TOOL_RESERVED > PASTE_TOOL_SLOTS:
    environment.refuse("PASTE_TOOL_RESERVED", "at most PASTE_TOOL_SLOTS")
# Nothing runs early while real work uses more of this machine's processors than this; 100: however busy they are. Half, since
# two logical processors are often one core: what keeps the second one busy slows the first down by a third.
PASTE_REST_ABOVE_PERCENT = environment.number("PASTE_REST_ABOVE_PERCENT", 50.0, most=100)
# Calls of tools that usually take less than this are run by the session's own worker; 0 sends all to the tools workers.
PASTE_IN_PLACE_SECONDS = environment.number("PASTE_IN_PLACE_SECONDS", 0.02)
# Of the guesses that answered a call, the share that is run again, on slack, to see that the answer was right.
PASTE_VERIFY_PERCENT = environment.number("PASTE_VERIFY_PERCENT", 2.0, most=100)
# Worker seconds that guesses may cost; how many may stand one on another: 1 supposes none to come true.
PASTE_SPECULATION_SECONDS_A_SESSION = environment.number("PASTE_SPECULATION_SECONDS_A_SESSION", 600.0)
PASTE_SPECULATION_SECONDS_A_MINUTE = environment.number("PASTE_SPECULATION_SECONDS_A_MINUTE", 600.0)
# What calls of tools cost is told in one currency; its label stands behind every amount. How many seconds of an agent's waiting
# one unit of it is worth at admission: 60, as where an hour of whoever waits costs 60. 0 lets no price speak against a guess.
PASTE_CURRENCY = environment.unit("PASTE_CURRENCY", "USD")
PASTE_SECONDS_PER_CURRENCY_UNIT = environment.number("PASTE_SECONDS_PER_CURRENCY_UNIT", 60.0)
PASTE_CHAIN_DEPTH = environment.whole_number("PASTE_CHAIN_DEPTH", 1, least=1, most=3)
# MCP servers whose tools our agents may be given: a file in the form that most clients read (docs/mcp.md).
PASTE_MCP_SERVERS = environment.readable_file("PASTE_MCP_SERVERS")
# Where those of them that are commands run, if not on this machine.
PASTE_MCP_COMMANDS_URL = environment.url("PASTE_MCP_COMMANDS_URL", "", ("http", "https")).rstrip("/")
PASTE_ALLOWED_PRIVATE_HOSTS = environment.listing("PASTE_ALLOWED_PRIVATE_HOSTS")

# Sessions that ended so many days ago are deleted with everything of theirs; 0 keeps them for ever.
PASTE_RETENTION_DAYS = environment.whole_number("PASTE_RETENTION_DAYS", 90, most=36_500)

# How many sessions may wait, in all and per API key or user of the pages; how many of a key's may run (0: no limit).
PASTE_MOST_QUEUED_SESSIONS = environment.whole_number("PASTE_MOST_QUEUED_SESSIONS", 1000, least=1)
PASTE_MOST_QUEUED_SESSIONS_A_KEY = environment.whole_number("PASTE_MOST_QUEUED_SESSIONS_A_KEY", 250, least=1)
PASTE_MOST_RUNNING_SESSIONS_A_KEY = environment.whole_number("PASTE_MOST_RUNNING_SESSIONS_A_KEY", 0)
# Of agents that call their tools over MCP: after so long without a call their session is over; the next call opens another.
PASTE_MCP_QUIET_SECONDS = environment.number("PASTE_MCP_QUIET_SECONDS", 300.0, least=1, most=86_400)
PASTE_API_TASKS_PER_MINUTE = environment.whole_number("PASTE_API_TASKS_PER_MINUTE", 600, least=1)

# The demo's own web site, and its stand-ins: a network that is not there, and the pace of a model that is not there. Shown where they act.
PASTE_DEMO_LIBRARY_URL = environment.url("PASTE_DEMO_LIBRARY_URL", "", ["http", "https"])
PASTE_NETWORK_LATENCY_SECONDS = environment.number("PASTE_NETWORK_LATENCY_SECONDS", 0.0, most=60)
PASTE_SCRIPTED_TOKENS_PER_SECOND = environment.number("PASTE_SCRIPTED_TOKENS_PER_SECOND", 40.0, least=0.1, most=100_000)
PASTE_DEMO_LIBRARY_URL = environment.url("PASTE_DEMO_LIBRARY_URL", "", ["http", "https"])

# Nobody sees a page of a worker, and what draws them is half of what one would load at its start.
_DRAWS_PAGES = not environment.is_celery(sys.argv[0])
_PAGES = [
    "unfold",  # before the admin, whose templates it replaces
    "django.contrib.admin.apps.SimpleAdminConfig",  # the pages of tables are looked for where addresses are, in urls.py
    "django_htmx",
    "ninja",  # the API's documentation page, served from here and from nowhere else
]
INSTALLED_APPS = [
    *(_PAGES if _DRAWS_PAGES else []),
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "speculation",
    "paste_web",
]

MIDDLEWARE = [
    "paste_web.api.envelope.ApiEnvelope",  # outermost: also what the rest refuses leaves the API as a problem document
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "paste_web.content_security.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

ROOT_URLCONF = "paste_web.urls"
ASGI_APPLICATION = "paste_web.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = environment.private_folder("PASTE_STATIC_ROOT", PASTE_HOME / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # pages work before static files were collected, only less compressed

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [PASTE_BROKER_URL], "prefix": "paste"},
    }
}

CELERY_BROKER_URL = PASTE_BROKER_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A broker that hangs, or a network that swallows everything, must not hold up whoever tells it of a job: the sweep tells again.
# What a worker has taken is not kept in the broker until it is acknowledged, for the same reason; without that a message is a
# millisecond sooner where its job runs.
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0, "ack_emulation": False}
# A message carries an id and an attempt and nothing else: the row is the result and the truth.
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# Acknowledged when taken: what a dead worker held is recovered from leases by the sweep, never by redelivery.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "agents"
CELERY_TASK_ROUTES = {"speculation.run_job": {"queue": "tools"}}
# What every process needs to run a tool. Sessions, with model clients and all, are imported by agents workers alone
# (`-I speculation.tasks`): a tool process is one of many, and starts again whenever one is killed.
CELERY_IMPORTS = ["speculation.worker"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Left alone, Celery ends a forked worker's connections to the database at both ends of each task, the pool with them, so that
# every job connects anew: more than a tool call costs otherwise. worker.py hands the connection back instead.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_TIMEZONE = "UTC"
# What the beat asks for, in the small hours; what no worker took by noon is asked for again the next day.
CELERY_BEAT_SCHEDULE = {
    "retain": {"task": "speculation.retain", "schedule": crontab(hour=3, minute=17), "options": {"expires": 9 * 3600}}
}
if PASTE_MCP_SERVERS:
    CELERY_BEAT_SCHEDULE["list_tools"] = {"task": "speculation.list_tools", "schedule": 60.0, "options": {"expires": 60}}
CELERY_BEAT_SCHEDULE_FILENAME = str(PASTE_HOME / "beat-schedule")

UNFOLD = {
    "SITE_TITLE": "PASTE",
    "SITE_HEADER": "PASTE",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: STATIC_URL + "icon.svg"}],
    "SHOW_VIEW_ON_SITE": False,
}

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

# Behind TLS, PASTE_HTTPS=1 keeps cookies and browsers on it. SECURE_PROXY_SSL_HEADER is only right behind a proxy.
PASTE_HTTPS = environment.yes_or_no("PASTE_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PASTE_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if PASTE_HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PASTE_HTTPS else None
CSRF_TRUSTED_ORIGINS = environment.listing("PASTE_TRUSTED_ORIGINS")
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "speculation": {"level": environment.text("PASTE_LOG_LEVEL", "INFO").upper()},
        "paste_web": {"level": environment.text("PASTE_LOG_LEVEL", "INFO").upper()},
    },
}
