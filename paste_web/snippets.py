"""The lines that plug a program in: submit a task and wait for its end, with curl and with Python. The key is never in them."""

import json
import shlex

KEY_VARIABLE = "PASTE_API_KEY"

CURL = """curl -sS {url} \\
  -H "Authorization: Bearer ${variable}" \\
  -H "Content-Type: application/json" -H "Idempotency-Key: ticket-4711" \\
  -d {body}"""

TEST_CALL = """curl -sS '{url}?limit=1' -H "Authorization: Bearer ${variable}\""""

PYTHON = """import os, httpx

key = os.environ["{variable}"]
with httpx.Client(base_url={base}, timeout=70, headers={{"Authorization": f"Bearer {{key}}"}}) as paste:
    asked = {body}
    task = paste.post("/tasks", json=asked, headers={{"Idempotency-Key": "ticket-4711"}}).raise_for_status().json()
    while task["status"] in ("queued", "running"):
        task = paste.get(f"/tasks/{{task['id']}}", params={{"wait_seconds": 60}}).raise_for_status().json()
    print(task["answer"], task["figures"], task["ui_url"])"""


def curl_snippet(api_url: str, agent: str, task: str) -> str:
    """`api_url`: where the API is, with a slash at its end. For a POSIX shell."""
    body = json.dumps({"agent": agent, "task": task}, ensure_ascii=False)
    return CURL.format(url=f"{api_url}tasks", variable=KEY_VARIABLE, body=shlex.quote(body))


def python_snippet(api_url: str, agent: str, task: str) -> str:
    body = json.dumps({"agent": agent, "task": task}, ensure_ascii=False)
    return PYTHON.format(variable=KEY_VARIABLE, base=json.dumps(api_url.rstrip("/")), body=body)


def test_call_snippet(api_url: str) -> str:
    """A call that changes nothing: the newest task that the key may read."""
    return TEST_CALL.format(url=f"{api_url}tasks", variable=KEY_VARIABLE)
