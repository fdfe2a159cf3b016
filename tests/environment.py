"""Loaded before everything else (`-p tests.environment`): a test run has its own home and nobody's settings."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import hypothesis

KEPT_VARIABLES = {"PASTE_REQUIRE_BROWSER", "PASTE_CHROMIUM", "PASTE_POSTGRES_BIN", "PASTE_VALKEY_SERVER"}

for name in list(os.environ):
    if name.startswith(("PASTE_", "DATABASE_URL")) and name not in KEPT_VARIABLES:
        del os.environ[name]
HOME = Path(tempfile.mkdtemp(prefix="paste-test-", dir="/tmp"))
os.environ["PASTE_HOME"] = str(HOME)
# Most tests hold the jobs of calls in their own hands; those of calls in place switch it on.
os.environ["PASTE_IN_PLACE_SECONDS"] = "0"
os.environ["PASTE_VERIFY_PERCENT"] = "0"  # by chance; those of checks switch it on
os.environ["PASTE_REST_ABOVE_PERCENT"] = "100"  # the tests themselves keep the processors busy
os.environ["DJANGO_SETTINGS_MODULE"] = "paste_web.settings"
# Playwright's synchronous interface runs an event loop in the thread of the test, which also asks the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


# Property tests are about what holds, not about how fast it is found out: on a busy machine one example of thousands stands
# still for longer than Hypothesis's usual fifth of a second.
hypothesis.settings.register_profile("paste", deadline=None)
hypothesis.settings.load_profile("paste")

# A shell starts background commands with Ctrl-C ignored; tests of Ctrl-C must not depend on who started them.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)
