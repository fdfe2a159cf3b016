"""What made-up agents are asked, what they then call, and what those calls answer. Pure; drawn from a seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from speculation.agent.demo import AGENTS
from speculation.agent.demo.research import read_task
from speculation.agent.demo.support import read_case

WRITES = "write"


@dataclass(frozen=True)
class Wish:
    """One call. `answer`: its result as a JSON value. `seconds`: how long the tool usually takes over it."""

    tool: str
    arguments: Mapping[str, Any]
    answer: Any
    seconds: float
    effect: str = "none"


@dataclass(frozen=True)
class Plot:
    """One task. `turns`: the calls of each turn; after the last the model answers. `strays`: what nobody will ask for."""

    agent: str
    task: str
    turns: Sequence[Sequence[Wish]]
    strays: Sequence[Wish]
    answer: str


def support_plot(rng: Random) -> Plot:
    task = rng.choice(AGENTS["support"].tasks)
    case = read_case(task)
    orders = [f"W{rng.randrange(10**6, 10**7)}" for _ in range(3)]
    payments = [f"pay_{rng.randrange(100, 1000)}" for _ in range(2)]
    refund = f"rf_{rng.randrange(10, 100)}"
    person = {"email": case.email, "name": case.email.split("@")[0].replace(".", " ").title(), "orders": orders}
    order = {"order_id": orders[0], "item": case.item, "payments": payments, "refund_request": refund}
    paid = [{"payment_id": one, "status": "captured", "amount_cents": 12_900} for one in payments]
    rule = {"hits": [{"title": f"Refunds: {case.subject}", "url": "policies/refunds"}]}
    settled = {"refund_id": refund, "status": "approved", "amount_cents": 12_900}
    turns = [
        [_record("customers", case.email, person)],
        [_record("orders", orders[0], order), _record("orders", orders[1], {"order_id": orders[1], "item": "lamp"})],
        [_record("payments", one["payment_id"], one) for one in paid],
        [Wish("search_documents", {"query": case.subject}, rule, 2.4)],
        [Wish("update_record", {"table": "refunds", "key": refund, "values": settled}, settled, 1.2, WRITES)],
        [_record("refunds", refund, settled)],
    ]
    strays = [_record("orders", orders[2], {"order_id": orders[2]}), _record("refunds", refund, {"status": "open"})]
    return Plot("support", task, turns, strays, f"Refunded 129.00 for the {case.item}: two payments were captured.")


def _record(table: str, key: str, answer: Mapping[str, Any]) -> Wish:
    return Wish("get_record", {"table": table, "key": key}, dict(answer), 2.0)


def research_plot(rng: Random) -> Plot:
    task = rng.choice(AGENTS["research"].tasks)
    first, second, question = read_task(task)
    turns: list[Sequence[Wish]] = []
    for subject in (first, second):
        urls = [f"https://library.example/{subject.replace(' ', '-')}/{page}" for page in ("overview", "history")]
        turns.append([Wish("search_documents", {"query": subject}, {"hits": [{"url": url} for url in urls]}, 2.4)])
        turns.append([Wish("fetch_page", {"url": url}, {"url": url, "title": subject.title()}, 3.1) for url in urls])
    strays = [Wish("search_documents", {"query": question}, {"hits": []}, 2.4)]
    return Plot("research", task, turns, strays, f"Both sources agree on {first}; for {second} they give a range.")


def coding_plot(rng: Random) -> Plot:
    task = rng.choice(AGENTS["coding"].tasks)
    issue, comment = task.split()[2].rstrip(":"), f"c{rng.randrange(100, 999)}"
    module = rng.choice(["intervals", "calendar", "money", "tables", "paths"])
    symbol, path = f"parse_{module}", f"toolbelt/{module}.py"
    told = {"issue_id": issue, "symbol": symbol, "component": module, "comments": [comment]}
    tests = {"command": f"python3 -B -m unittest tests.test_{module}"}
    edit = {"path": path, "old_text": "return total", "new_text": "return total + minutes"}
    turns = [
        [_record("issues", issue, told)],
        [_search(symbol, path), _record("comments", comment, {"text": f"See {path}."})],
        [
            _file(path),
            _file(f"tests/test_{module}.py"),
            Wish("run_command", tests, "FAILED (failures=1)", 4.2, "unknown"),
        ],
        [Wish("edit_file", edit, {"path": path, "changed": 1}, 0.3, WRITES)],
        [Wish("run_command", tests, "OK", 4.2, "unknown"), _file(path)],
    ]
    strays = [_file(f"toolbelt/{module}_v1.py"), _search(f"{symbol}_strict", path)]
    return Plot("coding", task, turns, strays, f"{issue}: one line of {path} was wrong; its tests pass now.")


def _search(pattern: str, path: str) -> Wish:
    return Wish("search_text", {"pattern": pattern}, {"matches": [{"path": path, "line": 12}]}, 1.1)


def _file(path: str) -> Wish:
    return Wish("read_file", {"path": path}, {"path": path, "text": "def total(text): ..."}, 0.8)


def billing_plot(rng: Random) -> Plot:
    company, customer = rng.choice(["Halden Mills", "Ostrava Glass", "Brightwater"]), f"cus_{rng.randrange(1000, 9999)}"
    invoices = [f"inv_{rng.randrange(10_000, 99_999)}" for _ in range(3)]
    turns = [
        [Wish("lookup_customer", {"name": company}, {"customer_id": customer, "plan": "team"}, 1.6)],
        [Wish("list_invoices", {"customer_id": customer}, {"invoices": invoices}, 2.8)],
        [Wish("get_invoice", {"invoice_id": one}, {"id": one, "cents": 48_000}, 1.9) for one in invoices[:2]],
        [Wish("convert_currency", {"cents": 48_000, "to": "EUR"}, {"cents": 44_160}, 0.9)],
        [Wish("send_reply", {"to": customer, "text": "Your invoices are attached."}, {"sent": True}, 0.7, WRITES)],
    ]
    strays = [Wish("get_invoice", {"invoice_id": invoices[2]}, {"id": invoices[2], "cents": 12_000}, 1.9)]
    return Plot("billing", f"{company} asks for its last two invoices in euros. Reply to them.", turns, strays, "Sent.")


PLOTS: Mapping[str, Callable[[Random], Plot]] = {
    "support": support_plot,
    "research": research_plot,
    "coding": coding_plot,
    "billing": billing_plot,
}
"""By the agent's name."""


def long_plot(rng: Random, calls: int) -> Plot:
    """One task of so many calls, four a turn: for what a page bears."""
    keys = [f"W{rng.randrange(10**6, 10**7)}" for _ in range(calls)]
    wishes = [_record("orders", key, {"order_id": key, "item": "lamp"}) for key in keys]
    turns = [wishes[k : k + 4] for k in range(0, calls, 4)]
    strays = [_record("orders", f"W{k}", {"order_id": f"W{k}"}) for k in range(40)]
    return Plot("support", f"Read {calls} orders and say which are late.", turns, strays, "None is late.")
