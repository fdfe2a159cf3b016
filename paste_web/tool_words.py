"""What the tools pages say in sentences: where a tool is, what it would save, what a decision did."""

from paste_web.wording import duration, money, percent
from speculation.approval_queue import Need, QueueItem
from speculation.decisions import Standing
from speculation.effects import needs_declaration, reaches_outside
from speculation.endings import Ending
from speculation.tool_evidence import Evidence
from speculation.tool_rows import ToolRow
from speculation.warm_ups import WarmUps
from speculation.would_save import WouldSave

OUTSIDE = "sends arguments to an outside party"


def would_save_words(worth: WouldSave) -> str:
    """`would save about 2.4 s a session (at least 1.7 s, n 31)`: of the shadow. Too few sessions tell no least."""
    if worth.least_seconds > 0:
        sure = f"at least {duration(worth.least_seconds)}, n {worth.sessions}"
    else:
        sure = f"n {worth.sessions}: too few to say what at least"
    return f"would save about {duration(worth.mean_seconds)} a session ({sure})"


def title(item: QueueItem) -> str:
    name = item.tool.name
    return {
        Need.CHANGED: f"{name} changed",
        Need.REVIEW: f"{name} needs review",
        Need.EXPIRED: f"The approval of {name} expired",
        Need.EXPIRING: f"The approval of {name} ends soon",
        Need.APPROVE: f"Approve {name}?",
    }[item.need]


def action(item: QueueItem) -> str:
    return "See the change" if item.need == Need.CHANGED else "Review"


def note(item: QueueItem) -> str:
    """The reason, without the moment: pages write that as a time of their own."""
    whose = f" for agent {item.approval.agent}" if item.approval and item.approval.agent else ""
    match item.need:
        case Need.CHANGED:
            return f"approval dropped, {_count(item.cancelled, 'run')} cancelled"
        case Need.REVIEW:
            return f"{item.approval.why if item.approval else ''}{whose}"
        case Need.EXPIRED:
            return f"nothing of it runs early any more{whose}"
        case Need.EXPIRING:
            return f"decided by {item.approval.who if item.approval else ''}{whose}"
    said = [would_save_words(item.would_save)]
    if needs_declaration(item.tool):
        said.append("nobody has declared that it only reads")
    if reaches_outside(item.tool):
        said.append(OUTSIDE)
    return "; ".join(said)


def ended(ending: Ending) -> str:
    """`2 running calls cancelled, the last ended after 0.14 s.`"""
    if not ending.stopped:
        return f"{_count(ending.held, 'held run')} given up."
    said = f"{_count(ending.stopped, 'running call')} cancelled"
    if ending.still_running == ending.stopped:
        said += f"; {'it has' if ending.stopped == 1 else 'they have'} not let go yet"
    elif ending.still_running:
        said += f"; {ending.still_running} of them {'has' if ending.still_running == 1 else 'have'} not let go yet"
    elif ending.last_seconds is not None:
        said += f", {'the last' if ending.stopped > 1 else 'which'} ended after {ending.last_seconds:.2f} s"
    others = f" {_count(ending.held, 'held run')} given up." if ending.held else ""
    return f"{said}.{others}"


def verdict(row: ToolRow, worth: WouldSave, seen: Evidence, warm_ups: WarmUps) -> str:
    """The first sentence of the page: where it is, and what that comes to."""
    standing, why = row.judged.standing, row.judged.why
    match standing:
        case Standing.WRITES:
            return "Writes. It never runs before it is asked for."
        case Standing.NEVER:
            who = row.standing[0].who if row.standing else ""
            return f"Never: refused by {who}. Nothing runs early."
        case Standing.REVIEW:
            return f"Needs review: {why}. Nothing of it runs early until someone decides."
        case Standing.UNREVIEWED | Standing.SHADOW:
            saves = would_save_words(worth) if worth.sessions else "nothing of it was foreseen in the last 7 days"
            return f"{str(standing).capitalize()}. {saves[0].upper()}{saves[1:]}; nothing runs early."
        case Standing.TRANSFORMED:
            return f"Transformed: only its warm-up runs early. {warmed(warm_ups)}"
    did = (
        f"In the last 7 days {seen.hits} of {seen.launches} early runs were asked for, {duration(seen.hidden_seconds)} hidden."
        if seen.launches
        else "Nothing of it ran early in the last 7 days."
    )
    return f"{str(standing).capitalize()}. {did}"


def warmed(seen: WarmUps) -> str:
    """What the warm-ups cost, and whether calls are quicker for it."""
    if not seen.runs:
        return "It was not warmed up in the last 7 days."
    said = f"In the last 7 days {_count(seen.runs, 'warm-up')} took {duration(seen.seconds)} of workers' time; "
    if seen.warmed_median_seconds is None:
        return f"{said}no call came after one."
    said += f"{_count(seen.warmed_calls, 'call')} came after one and took {duration(seen.warmed_median_seconds)} (median)"
    if seen.cold_median_seconds is None:
        return f"{said}, there is none without to compare with."
    return f"{said}, {seen.cold_calls:,} without {duration(seen.cold_median_seconds)}."


def meaning(seen: Evidence, agent: str = "", canary_percent: int | None = None) -> str:
    """Beside the button: what letting it run would have meant, in this tool's own numbers."""
    whose = f" in sessions of agent {agent}" if agent else ""
    if not seen.foreseen:
        return f"In the last 7 days no call of it was foreseen{whose}, so there are no figures of what this would do."
    waste = "unknown how much" if seen.spent_seconds is None else f"about {duration(seen.spent_seconds)}"
    paid = f", about {money(seen.spent_price)} paid for nothing" if seen.spent_price else ""
    share = f" A canary of {canary_percent} % does about {canary_percent} % of that." if canary_percent else ""
    return (
        f"In the last 7 days this would have started {seen.foreseen:,} calls{whose} before they were asked for; "
        f"{seen.asked_for:,} ({percent(seen.asked_share)}) were asked for; about {duration(seen.saved_seconds)} saved, "
        f"{waste} of worker time wasted{paid}.{share}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
