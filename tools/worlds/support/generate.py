"""Writes this world's records.json and documents.json: `python tools/worlds/support/generate.py`. All of it is invented.

Every case below is one customer with a complaint about one of a few orders. Money is in cents.
"""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

FOLDER = Path(__file__).parent
TODAY = date(2026, 6, 30)
Row = list[Any]

# customer, city, complaint, item, place of the order among the customer's orders (0 is the newest), orders in all
CASES = [
    ("Mara Okafor", "Leeds", "double", "standing desk", 0, 3),
    ("Jonas Weber", "Bremen", "late", "espresso grinder", 0, 2),
    ("Aiko Tanaka", "Osaka", "damaged", "desk lamp", 1, 3),
    ("Luis Herrera", "Sevilla", "cancelled", "camping stove", 0, 2),
    ("Priya Nair", "Pune", "double", "bookshelf", 1, 3),
    ("Tom Kowalski", "Gdansk", "damaged", "record player", 0, 2),
    ("Elena Rossi", "Turin", "late", "road bike", 1, 3),
    ("Samuel Adeyemi", "Ibadan", "double", "air purifier", 0, 2),
    ("Ingrid Larsen", "Bergen", "cancelled", "sleeping bag", 0, 3),
    ("Noah Martin", "Lyon", "damaged", "coffee table", 0, 3),
    ("Fatima Zahra", "Rabat", "double", "sewing machine", 0, 2),
    ("Oliver Brandt", "Graz", "late", "office chair", 0, 2),
    ("Chloe Dubois", "Nantes", "damaged", "mantel clock", 0, 2),
    ("Diego Alvarez", "Quito", "double", "electric kettle", 2, 3),
    ("Hana Novakova", "Brno", "cancelled", "yoga mat", 1, 2),
    ("Peter Lindqvist", "Uppsala", "double", "film camera", 0, 3),
    ("Amina Diallo", "Dakar", "damaged", "stand mixer", 0, 2),
    ("George Petrou", "Volos", "double", "garden bench", 0, 2),
]
OTHER_ITEMS = [
    "wool blanket",
    "toolbox",
    "water filter",
    "umbrella",
    "backpack",
    "cutting board",
    "wall map",
    "bird feeder",
]

POLICIES = [
    (
        "duplicate-charges",
        "Refund policy: duplicate charges",
        "An order that was charged twice is refunded in full for every charge after the first. The refund goes to the "
        "later payment, so that the first one keeps matching the invoice. No approval is needed, whatever the amount.",
    ),
    (
        "late-delivery",
        "Refund policy: late delivery",
        "A parcel that arrives after the promised date costs us its shipping fee: refund the fee. If it is more than "
        "seven days late, refund the fee and ten per cent of the price of the goods.",
    ),
    (
        "damaged-goods",
        "Refund policy: damaged goods",
        "Goods that arrive damaged are refunded at the price of the damaged item if the damage is reported within thirty "
        "days of delivery. Later reports are declined. The shipping fee is not refunded.",
    ),
    (
        "cancelled-orders",
        "Refund policy: cancelled orders",
        "An order cancelled before it was shipped is refunded in full, shipping fee included. Once it has been shipped it "
        "can be returned, but not cancelled.",
    ),
    (
        "returns",
        "Returns within fourteen days",
        "Unused goods may come back within fourteen days of delivery. The customer pays for the way back. Mattresses and "
        "opened food are excluded.",
    ),
    (
        "warranty",
        "Warranty on electrical goods",
        "Electrical goods carry two years of warranty from the day of delivery. We repair first, exchange second, and "
        "refund only when neither works.",
    ),
    (
        "price-match",
        "Price match",
        "If one of our own offers falls in price within seven days of an order, the difference is credited on request.",
    ),
    (
        "gift-cards",
        "Gift cards and store credit",
        "Gift cards do not expire. A refund of an order paid with a gift card goes back to a gift card.",
    ),
]


# table: the column that is its key, and its columns with their types
TABLES = {
    "customers": (
        "email",
        {"email": "text", "name": "text", "city": "text", "tier": "text", "since": "date", "orders": "jsonb"},
    ),
    "orders": (
        "order_id",
        {
            "order_id": "text",
            "email": "text",
            "item": "text",
            "item_cents": "integer",
            "shipping_cents": "integer",
            "status": "text",
            "placed_on": "date",
            "promised_on": "date",
            "delivered_on": "date",
            "payments": "jsonb",
            "refund_request": "text",
            "complained_on": "date",
        },
    ),
    "payments": (
        "payment_id",
        {
            "payment_id": "text",
            "order_id": "text",
            "amount_cents": "integer",
            "method": "text",
            "status": "text",
            "charged_on": "date",
        },
    ),
    "refunds": (
        "refund_id",
        {
            "refund_id": "text",
            "order_id": "text",
            "payment_id": "text",
            "amount_cents": "integer",
            "reason": "text",
            "status": "text",
        },
    ),
}


def main() -> None:
    random = Random(4711)
    rows: dict[str, list[Row]] = {table: [] for table in TABLES}
    numbers = iter(random.sample(range(100_000, 999_999), 400))
    for name, city, complaint, item, place, count in CASES:
        email = f"{name.lower().replace(' ', '.')}@example.com"
        since = date(2019, 1, 1) + timedelta(days=random.randrange(2000))
        orders: list[str] = []
        rows["customers"].append([email, name, city, random.choice(["basic", "plus"]), str(since), orders])
        others = random.sample(OTHER_ITEMS, count - 1)
        for index in range(count):
            is_it = index == place
            ordered = item if is_it else others.pop()
            made = make_order(random, numbers, email, ordered, complaint if is_it else "", index)
            orders.append(made[0][1][0])
            for table, row in made:
                rows[table].append(row)
    write_records(rows)
    write_documents()


def make_order(
    random: Random, numbers: Iterator[int], email: str, item: str, complaint: str, index: int
) -> list[tuple[str, Row]]:
    """The rows of one order, its own first; `index` 0 is the newest. A complaint adds a refund request and its cause."""
    order_id = f"W{next(numbers)}"
    placed = TODAY - timedelta(days=12 + 40 * index + random.randrange(12))
    promised = placed + timedelta(days=4)
    late_days = random.choice([3, 9]) if complaint == "late" else 0
    delivered = promised + timedelta(days=late_days or -random.randrange(2))
    item_cents, shipping_cents = random.randrange(20, 400) * 100 + 90, random.choice([490, 790, 1290])
    was_cancelled = complaint == "cancelled"
    payments = [f"P{next(numbers)}" for _ in range(2 if complaint == "double" else 1)]
    refund_id = f"R{next(numbers)}" if complaint else None
    since_delivery = random.choice([5, 18, 44]) if complaint == "damaged" else 2
    complained = (placed if was_cancelled else delivered) + timedelta(days=since_delivery) if complaint else None
    order = [order_id, email, item, item_cents, shipping_cents, "cancelled" if was_cancelled else "delivered"]
    dates = [placed, promised, None if was_cancelled else delivered]
    rows: list[tuple[str, Row]] = [
        ("orders", [*order, *map(as_text, dates), payments, refund_id, as_text(complained)]),
    ]
    method = random.choice(["card", "bank transfer", "wallet"])
    for charge, payment_id in enumerate(payments):
        payment = [payment_id, order_id, item_cents + shipping_cents, method, "captured"]
        rows.append(("payments", [*payment, str(placed + timedelta(days=charge))]))
    if complaint:
        rows.append(("refunds", [refund_id, order_id, None, None, complaint, "requested"]))
    return rows


def as_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def write_records(rows: dict[str, list[Row]]) -> None:
    """A row a line, so that a change reads as one."""
    parts = []
    for name, (key, columns) in TABLES.items():
        lines = ",\n".join(json.dumps(row) for row in sorted(rows[name]))
        parts.append(f'"{name}": {{"key": "{key}", "columns": {json.dumps(columns)}, "rows": [\n{lines}\n]}}')
    (FOLDER / "records.json").write_text('{"tables": {\n' + ",\n".join(parts) + "\n}}\n")


def write_documents() -> None:
    documents = [
        {"id": slug, "title": title, "url": f"{{library}}/{slug}.html", "body": body} for slug, title, body in POLICIES
    ]
    (FOLDER / "documents.json").write_text(json.dumps(documents, indent=1) + "\n")


if __name__ == "__main__":
    main()
