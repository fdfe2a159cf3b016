"""The support agent: looks a customer's case up, decides by the policy it finds, and settles the refund request."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from speculation.agent.demo.agent import DemoAgent
from speculation.agent.demo.conversation import Conversation
from speculation.agent.scripted import Turn
from speculation.agent.types import Message
from tools.base import ToolCall

Record = Mapping[str, Any]

_SUBJECTS = {
    "charged twice": "double",
    "late delivery": "late",
    "arrived damaged": "damaged",
    "order cancelled": "cancelled",
}
"""Subject of a ticket: the kind of case that it is."""
_TASK = (
    'Ticket from {email}, subject "{subject}", about the {item}. Check the claim and settle the request for a refund.'
)
_CASES = (
    ("charged twice", "mara.okafor@example.com", "standing desk"),
    ("late delivery", "jonas.weber@example.com", "espresso grinder"),
    ("arrived damaged", "aiko.tanaka@example.com", "desk lamp"),
    ("charged twice", "fatima.zahra@example.com", "sewing machine"),
    ("order cancelled", "luis.herrera@example.com", "camping stove"),
    ("charged twice", "priya.nair@example.com", "bookshelf"),
    ("arrived damaged", "tom.kowalski@example.com", "record player"),
    ("charged twice", "samuel.adeyemi@example.com", "air purifier"),
    ("late delivery", "elena.rossi@example.com", "road bike"),
    ("arrived damaged", "noah.martin@example.com", "coffee table"),
    ("order cancelled", "ingrid.larsen@example.com", "sleeping bag"),
    ("charged twice", "peter.lindqvist@example.com", "film camera"),
    ("arrived damaged", "chloe.dubois@example.com", "mantel clock"),
    ("late delivery", "oliver.brandt@example.com", "office chair"),
    ("charged twice", "diego.alvarez@example.com", "electric kettle"),
    ("arrived damaged", "amina.diallo@example.com", "stand mixer"),
    ("order cancelled", "hana.novakova@example.com", "yoga mat"),
    ("charged twice", "george.petrou@example.com", "garden bench"),
)
_TASKS = tuple(_TASK.format(email=email, subject=subject, item=item) for subject, email, item in _CASES)
_READABLE = re.compile(r'Ticket from (?P<email>\S+@\S+), subject "(?P<subject>[^"]+)", about the (?P<item>[^.]+)\.')


@dataclass(frozen=True)
class Case:
    """What the task says."""

    email: str
    subject: str
    item: str

    @property
    def kind(self) -> str:
        return _SUBJECTS[self.subject]


@dataclass(frozen=True)
class Decision:
    """What is to be refunded, out of which payment, and why."""

    amount_cents: int
    payment_id: str
    reason: str


def continue_support(messages: Sequence[Message]) -> Turn:
    """The next turn, from the records read so far."""
    talk = Conversation(messages)
    case = read_case(talk.task)
    if failure := talk.failure:
        return Turn(
            f"I could not finish: {failure.tool} answered: {failure.content} Please check this request by hand."
        )
    customer = _record(talk, "customers")
    if customer is None:
        return _find_customer(case)
    orders = [done.structured for done in talk.all("get_record", table="orders")]
    order = next((each for each in orders if each["item"] == case.item), None)
    if order is None:
        return _look_at_orders(case, customer, len(orders))
    payments = [done.structured for done in talk.all("get_record", table="payments")]
    if not payments:
        return _read_payments(order)
    policy = talk.last("search_documents")
    if policy is None:
        return _find_rule(case, payments)
    decision, rule = decide(case, order, payments), policy.structured["hits"][0]["title"]
    if talk.last("update_record") is None:
        return _settle(order, decision, rule)
    settled = _record(talk, "refunds")
    if settled is None:
        return _confirm(order)
    return _answer(case, order, settled, decision, rule)


def read_case(task: str) -> Case:
    found = _READABLE.match(task)
    if found is None:
        raise ValueError(f"not a support task: {task}")
    return Case(**found.groupdict())


def decide(case: Case, order: Record, payments: Sequence[Record]) -> Decision:
    """The policies of the demo's shop, applied to what the records say. Money in cents."""
    payment = payments[-1]
    goods, fee = order["item_cents"], order["shipping_cents"]
    if case.kind == "double":
        captured = [each for each in payments if each["status"] == "captured"]
        amount = captured[-1]["amount_cents"] if len(captured) > 1 else 0
        return Decision(amount, captured[-1]["payment_id"], f"{len(captured)} payments were captured for one order")
    if case.kind == "late":
        late_days = _days(order["promised_on"], order["delivered_on"])
        amount = fee + goods // 10 if late_days > 7 else fee
        return Decision(amount if late_days > 0 else 0, payment["payment_id"], f"it arrived {late_days} days late")
    if case.kind == "damaged":
        days = _days(order["delivered_on"], order["complained_on"])
        reason = f"the damage was reported {days} days after delivery"
        return Decision(goods if days <= 30 else 0, payment["payment_id"], reason)
    amount = goods + fee if order["status"] == "cancelled" and order["delivered_on"] is None else 0
    return Decision(amount, payment["payment_id"], "the order was cancelled before it was shipped")


def _find_customer(case: Case) -> Turn:
    text = (
        f"The ticket comes from {case.email} and is about the {case.item}. Before I decide anything I need the customer's "
        "record, which lists the orders, the newest first. I start there and read the orders afterwards."
    )
    return Turn(text, [ToolCall("get_record", {"table": "customers", "key": case.email})])


def _look_at_orders(case: Case, customer: Record, looked_at: int) -> Turn:
    """The newest alone, since complaints are mostly about it; then all others at once."""
    following = customer["orders"][looked_at : looked_at + 1] if looked_at == 0 else customer["orders"][looked_at:]
    if not following:
        return Turn(
            f"{customer['name']} has no order of a {case.item} among {looked_at} orders, so there is nothing to refund."
        )
    which = "the newest" if looked_at == 0 else "the others, since it was not the newest"
    text = (
        f"{customer['name']} from {customer['city']} has {len(customer['orders'])} orders. The record does not say "
        f"which of them is the {case.item}. I read {which} in full and compare the item with the ticket."
    )
    return Turn(text, [ToolCall("get_record", {"table": "orders", "key": key}) for key in following])


def _read_payments(order: Record) -> Turn:
    text = (
        f"Order {order['order_id']} is the one: {order['item']}, {order['status']}, request {order['refund_request']}. Now I "
        f"need what was really charged for it. The order names {len(order['payments'])} payment(s); I read every one."
    )
    return Turn(text, [ToolCall("get_record", {"table": "payments", "key": key}) for key in order["payments"]])


def _find_rule(case: Case, payments: Sequence[Record]) -> Turn:
    total = sum(payment["amount_cents"] for payment in payments)
    text = (
        f"In all {_money(total)} were charged. Whether any of it goes back is not for me to feel but for our policy to say, "
        f'so I look up the rule for "{case.subject}" before I touch the request.'
    )
    return Turn(text, [ToolCall("search_documents", {"query": case.subject})])


def _settle(order: Record, decision: Decision, policy: str) -> Turn:
    verdict = f"{_money(decision.amount_cents)} from {decision.payment_id}" if decision.amount_cents else "nothing"
    text = (
        f'The rule is in "{policy}", and the records of order {order["order_id"]} are clear: {decision.reason}. That '
        f"makes a refund of {verdict}. I write this into the request {order['refund_request']}."
    )
    values = {
        "status": "approved" if decision.amount_cents else "declined",
        "amount_cents": decision.amount_cents,
        "payment_id": decision.payment_id,
    }
    return Turn(
        text, [ToolCall("update_record", {"table": "refunds", "key": order["refund_request"], "values": values})]
    )


def _confirm(order: Record) -> Turn:
    text = (
        f"The update went through. Before I tell the customer, I read the request {order['refund_request']} once more, to be "
        "sure that it holds the amount and the payment that I meant, and nothing else."
    )
    return Turn(text, [ToolCall("get_record", {"table": "refunds", "key": order["refund_request"]})])


def _answer(case: Case, order: Record, settled: Record, decision: Decision, policy: str) -> Turn:
    outcome = f"Request {settled['refund_id']} for order {order['order_id']} ({case.item}) is {settled['status']}"
    money = (
        f": {_money(settled['amount_cents'])} go back to payment {settled['payment_id']}"
        if settled["amount_cents"]
        else ""
    )
    return Turn(f'{outcome}{money}. Reason: {decision.reason}. Rule: "{policy}".')


def _record(talk: Conversation, table: str) -> Record | None:
    done = talk.last("get_record", table=table)
    return None if done is None else done.structured


def _days(first: str, second: str) -> int:
    return (date.fromisoformat(second) - date.fromisoformat(first)).days


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02} EUR"


SUPPORT = DemoAgent(
    name="support",
    title="Support desk",
    description="Looks up a customer's order, payments and the policy, then settles the refund request.",
    system_prompt="You settle refund requests. Read the records and the policy first; change only the request itself.",
    tools=("get_record", "search_documents", "update_record"),
    world="support",
    tasks=_TASKS,
    script=continue_support,
)
