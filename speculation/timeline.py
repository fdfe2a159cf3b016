"""A session's story as lanes of bars: what the timeline draws. Pure; seconds since the session's start.

Lanes, in fixed order: the model; authoritative tools; where their calls would have run; speculative runs, one row each
where they overlap; slots. State is always a word, too: colours and hatching are the chart's business.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from speculation.figures import SERVED, CallFigures, Figures, waste_reason
from speculation.spans import Run, Turn
from speculation.story import Story

MOST_BARS = 400
JUST_VISIBLE_SECONDS = 0.02


class Mark(NamedTuple):
    sign: str
    word: str


MARKS: Mapping[str, Mark] = {
    "prefill": Mark("", "reads the prompt"),
    "decode": Mark("", "decodes"),
    "waits": Mark("", "waits"),
    "queued": Mark("", "queued"),
    "authoritative": Mark("", "tool run"),
    "raised": Mark("»", "raised"),
    "guess": Mark("?", "speculative"),
    "used": Mark("✓", "used"),
    "joined": Mark("✓»", "joined"),
    "joined_after": Mark("", "waited for"),
    "ghost": Mark("", "would have run"),
    "hidden": Mark("", "hidden"),
    "miss": Mark("✕", "miss"),
    "expired": Mark("↻", "expired"),
    "invalidated": Mark("↻", "invalidated"),
    "preempted": Mark("‖", "preempted"),
    "failed": Mark("!", "failed"),
    "revoked": Mark("⊘", "revoked"),
    "skipped": Mark("○", "skipped"),
}
WASTED = ("miss", "expired", "invalidated", "preempted", "failed", "revoked")


@dataclass(frozen=True)
class Bar:
    """One box. `end` None: still open. `key` stays the same over updates; `pick` is the call or job it belongs to."""

    key: str
    lane: str
    row: int
    state: str
    start: float
    end: float | None
    label: str = ""
    short: str = ""
    pick: str = ""
    note: str = ""

    @property
    def mark(self) -> Mark:
        return MARKS[self.state]


@dataclass(frozen=True)
class Tick:
    """On the model's row: a tool's name became known ("named"), its arguments complete ("sealed"), or "skipped"."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class Link:
    """From a run's end (or start) to the call it served: lane and row on both sides."""

    start: float
    start_row: int
    end: float


@dataclass(frozen=True)
class Timeline:
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    links: Sequence[Link]
    slots: Sequence[tuple[float, int]]
    rows: Mapping[str, int]
    end: float
    is_live: bool
    merged: int = 0


def draw(story: Story, figures: Figures, *, now: float | None = None, show_payloads: bool = True) -> Timeline:
    """All lanes of a session. Without `show_payloads`, calls are named by their tool alone."""
    end = story.ended_at if story.ended_at is not None else max(story.last_at, now or 0.0)
    model = [bar for turn in story.turns for bar in _turn_bars(turn)] + _waits(figures, story.has_ended)
    tools = _tool_bars(story, figures, show_payloads)
    ghosts = _packed([_ghost(call, show_payloads) for call in figures.calls if call.call.outcome in ("used", "joined")])
    guesses = _packed([_guess_bars(story, run, show_payloads) for run in _guesses(story)])
    links = [link for bar in guesses if (link := _link(story, bar))]
    bars, merged = _thinned([*model, *tools, *ghosts, *guesses], end)
    ticks = _ticks(story)
    return Timeline(
        bars=bars,
        ticks=ticks if len(ticks) <= MOST_BARS else (),
        links=links if len(links) <= MOST_BARS else (),
        slots=_slots(story, end),
        rows={lane: 1 + max((bar.row for bar in bars if bar.lane == lane), default=0) for lane in ("model", "tools", "would", "guess")},
        end=end,
        is_live=not story.has_ended,
        merged=merged,
    )


def call_text(tool: str, arguments: Mapping[str, Any], show_payloads: bool) -> str:
    """`get_order(W2378156)`: the values, as far as they fit in 40 characters."""
    if not show_payloads:
        return f"{tool}(…)" if arguments else f"{tool}()"
    values = ", ".join(str(value) for value in arguments.values()).replace("\n", " ")
    return f"{tool}({values if len(values) <= 40 else values[:39] + '…'})"


def _turn_bars(turn: Turn) -> list[Bar]:
    note = "abandoned: its worker was lost, another asked again" if turn.is_abandoned else ""
    tools = ", ".join(turn.tools)
    label = f"{turn.number} {tools}".strip()
    bars = []
    decode_at = turn.first_token_at
    if decode_at is None:
        bars.append(Bar(f"prefill-{turn.started_at}", "model", 0, "prefill", turn.started_at, turn.ended_at, str(turn.number), note=note))
        return bars
    if decode_at - turn.started_at > JUST_VISIBLE_SECONDS:
        bars.append(Bar(f"prefill-{turn.started_at}", "model", 0, "prefill", turn.started_at, decode_at, note=note))
    bars.append(
        Bar(f"decode-{turn.started_at}", "model", 0, "decode", decode_at, turn.ended_at, label, str(turn.number), note=note)
    )
    return bars


def _waits(figures: Figures, has_ended: bool) -> list[Bar]:
    bars = []
    for turn in figures.turns:
        start = turn.asked_at
        if start is None or turn.waited_seconds < JUST_VISIBLE_SECONDS:
            continue
        is_open = not has_ended and any(call.call.returned_at is None for call in turn.calls)
        end = None if is_open else start + turn.waited_seconds
        label = "" if is_open else f"{turn.waited_seconds:.1f} s"
        bars.append(Bar(f"waits-{turn.turn}", "model", 0, "waits", start, end, label, label))
    return bars


def _tool_bars(story: Story, figures: Figures, show_payloads: bool) -> list[Bar]:
    return _packed([_call_bars(call, story.has_ended, show_payloads) for call in figures.calls])


def _call_bars(call: CallFigures, has_ended: bool, show_payloads: bool) -> list[Bar]:
    """A call's own run, queueing apart from running. Runs that were there before the call have rows of their own."""
    asked, run = call.call, call.run
    if run is None or run.ran_ahead:
        return []
    is_open = asked.returned_at is None and not has_ended
    queued_until = run.started_at if run.started_at is not None else (None if is_open else call.until)
    text = call_text(asked.tool, asked.arguments, show_payloads)
    bars = []
    if queued_until is None or queued_until - asked.asked_at > JUST_VISIBLE_SECONDS:
        bars.append(Bar(f"queued-{asked.call_id}", "tools", 0, "queued", asked.asked_at, queued_until, pick=asked.call_id))
    if run.started_at is not None:
        end = run.ended_at if run.ended_at is not None else (None if is_open else call.until)
        state = "raised" if asked.outcome == "raised" else "authoritative"
        bars.append(Bar(f"run-{asked.call_id}", "tools", 0, state, run.started_at, end, text, asked.tool, asked.call_id, asked.reason))
    return bars


def _ghost(call: CallFigures, show_payloads: bool) -> list[Bar]:
    """Where a served call would have run, and the part of it that was hidden."""
    asked_at, would_end = call.call.asked_at, call.call.asked_at + call.without_seconds
    text = call_text(call.call.tool, call.call.arguments, show_payloads)
    ghost = Bar(f"ghost-{call.call.call_id}", "would", 0, "ghost", asked_at, would_end, "", "", call.call.call_id, text)
    gained = would_end - call.until
    if gained < JUST_VISIBLE_SECONDS:
        return [ghost]
    hidden = f"{call.hidden_seconds:.1f} s"
    area = Bar(f"hidden-{call.call.call_id}", "would", 0, "hidden", call.until, would_end, f"hidden {hidden}", hidden, call.call.call_id)
    return [area, ghost]


def _guesses(story: Story) -> list[Run]:
    return sorted((run for run in story.runs.values() if run.is_guess and _is_drawn_ahead(run)), key=lambda run: run.queued_at)


def _is_drawn_ahead(run: Run) -> bool:
    return run.ran_ahead or run.asked_at is None


def state_of(story: Story, run: Run) -> str:
    """A speculative run's state, as the page says it."""
    if run.asked_at is not None:
        call = story.calls.get(run.call_id)
        return "joined" if call and call.outcome == "joined" else "used"
    if run.status in ("queued", "running", "succeeded") and not story.has_ended:
        return "guess"
    return waste_reason(story, run)


def _guess_bars(story: Story, run: Run, show_payloads: bool) -> list[Bar]:
    state, pick = state_of(story, run), run.call_id or run.job
    mark, text = MARKS[state].sign, call_text(run.tool, run.arguments, show_payloads)
    label, short = f"{mark} {text}", f"{mark} {run.tool}"
    bars = []
    first_at = run.first_started_at
    queued_until = first_at if first_at is not None else run.ended_at if run.ended_at is not None else story.ended_at
    if queued_until is None or queued_until - run.queued_at > JUST_VISIBLE_SECONDS:
        bars.append(Bar(f"waiting-{run.job}", "guess", 0, "queued", run.queued_at, queued_until, mark, mark, pick, run.reason))
    if first_at is None:
        return bars
    end = run.ended_at if run.ended_at is not None else story.ended_at
    if state == "joined" and run.asked_at is not None:
        bars.append(Bar(f"guess-{run.job}", "guess", 0, state, first_at, run.asked_at, label, short, pick))
        bars.append(Bar(f"after-{run.job}", "guess", 0, "joined_after", run.asked_at, end, pick=pick))
    else:
        bars.append(Bar(f"guess-{run.job}", "guess", 0, state, first_at, end, label, short, pick, run.reason))
    return bars


def _packed(groups: Iterable[list[Bar]]) -> list[Bar]:
    """Each group whole on the first row where it overlaps nothing (first fit)."""
    free_from: list[float] = []
    packed = []
    for group in groups:
        if not group:
            continue
        start = min(bar.start for bar in group)
        end = max(float("inf") if bar.end is None else bar.end for bar in group)
        row = next((row for row, free in enumerate(free_from) if free <= start), len(free_from))
        free_from[row : row + 1] = [end]
        packed += [replace(bar, row=row) for bar in group]
    return packed


def _link(story: Story, bar: Bar) -> Link | None:
    """From where a used run ended to where its call asked for it."""
    if bar.state != "used" or bar.end is None:
        return None
    call = story.calls.get(bar.pick)
    return Link(bar.end, bar.row, call.asked_at) if call and call.asked_at > bar.end else None


def _ticks(story: Story) -> list[Tick]:
    ticks = [Tick(at, "named", f"name known: {tool}") for turn in story.turns for at, _, tool in turn.named]
    ticks += [Tick(at, "sealed", f"arguments sealed: {tool}") for turn in story.turns for at, _, tool in turn.sealed]
    skipped = [call for call in story.calls.values() if call.outcome not in SERVED]
    ticks += [Tick(call.asked_at, "skipped", f"{call.tool}: {call.reason or 'skipped'}") for call in skipped]
    return ticks


def _slots(story: Story, end: float) -> list[tuple[float, int]]:
    """Steps (moment, slots this session holds from then on)."""
    changes: dict[float, int] = {}
    for run in story.runs.values():
        if run.started_at is not None:
            changes[run.started_at] = changes.get(run.started_at, 0) + 1
            let_go_at = run.let_go_at(end)
            changes[let_go_at] = changes.get(let_go_at, 0) - 1
    held, steps = 0, [(0.0, 0)]
    for at in sorted(changes):
        held += changes[at]
        steps.append((at, held))
    if len(steps) > MOST_BARS:
        steps = _highest(steps, end / MOST_BARS)
    return [*steps, (end, held)]


def _highest(steps: list[tuple[float, int]], width: float) -> list[tuple[float, int]]:
    """The most slots held in each stretch of `width` seconds."""
    most: dict[int, int] = {}
    for at, held in steps:
        most[int(at / width)] = max(held, most.get(int(at / width), 0))
    return [(cell * width, held) for cell, held in sorted(most.items())]


def _thinned(bars: list[Bar], end: float) -> tuple[list[Bar], int]:
    """At most MOST_BARS: where there are more, time is cut into ever fewer cells, and what starts in one cell on one row
    in one state becomes one bar with its number. Open bars stay."""
    cells, kept = MOST_BARS, bars
    while len(kept) > MOST_BARS and cells >= 1:
        kept, cells = _merged(bars, max(end, 1e-9) / cells), cells // 2
    return kept, len(bars) - len(kept)


def _merged(bars: list[Bar], width: float) -> list[Bar]:
    groups: dict[tuple[str, int, str, int], list[Bar]] = {}
    for bar in bars:
        cell = int(bar.start / width) if bar.end is not None else -1 - len(groups)
        groups.setdefault((bar.lane, bar.row, bar.state, cell), []).append(bar)
    return [_as_one(group) for group in groups.values()]


def _as_one(group: list[Bar]) -> Bar:
    if len(group) == 1:
        return group[0]
    end = max(bar.end or bar.start for bar in group)
    return replace(group[0], end=end, label=f"{len(group)} calls", short=str(len(group)), pick="", note="merged: too many to draw")
