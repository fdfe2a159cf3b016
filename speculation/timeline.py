"""A session's story as lanes of bars: what the timeline draws. Pure; seconds since the session's start.

Lanes, in fixed order: turns; the model; authoritative tools; where their calls would have run; speculative runs, one row
each where they overlap; slots. State is always a word, too: colours and hatching are the chart's business.
"""

from collections.abc import Iterable

from speculation.bars import LANES, MARKS, WASTED, Bar, Link, Mark, Range, Tick, Timeline, call_text, state_of
from speculation.detail import MOST_BARS, seen
from speculation.figures import CallFigures, Figures
from speculation.lanes import first_fit
from speculation.links import links_of, ticks_of
from speculation.spans import Run, Turn
from speculation.story import Story

__all__ = [
    "MARKS", "MOST_BARS", "WASTED", "Bar", "Link", "Mark", "Tick", "Timeline", "call_text", "draw", "lay_out", "state_of",
]  # fmt: skip

JUST_VISIBLE_SECONDS = 0.02


def draw(
    story: Story, figures: Figures, *, now: float | None = None, show_payloads: bool = True, view: Range | None = None
) -> Timeline:
    """All lanes of a session, or what lies in `view`. Without `show_payloads`, calls are named by their tool alone."""
    return seen(lay_out(story, figures, now=now, show_payloads=show_payloads), view)


def lay_out(story: Story, figures: Figures, *, now: float | None = None, show_payloads: bool = True) -> Timeline:
    """Every bar of every lane, however many; `seen` takes from it what a chart can draw."""
    end = story.ended_at if story.ended_at is not None else max(story.last_at, now or 0.0)
    model = [bar for turn in story.turns for bar in _turn_bars(turn)] + _waits(figures, story.has_ended)
    ghosts = [_ghost(call, show_payloads) for call in figures.calls if call.call.outcome in ("used", "joined")]
    guesses = _packed([_guess_bars(story, run, show_payloads) for run in _guesses(story)])
    bars = [*_ruler(figures, story), *model, *_tool_bars(story, figures, show_payloads), *_packed(ghosts), *guesses]
    return Timeline(
        bars=bars,
        ticks=ticks_of(story),
        links=links_of(story, guesses),
        slots=_slots(story, end),
        rows=_rows(bars),
        end=end,
        is_live=not story.has_ended,
    )


def _rows(bars: Iterable[Bar]) -> dict[str, int]:
    """How many each lane has; one where it is empty."""
    last = dict.fromkeys(LANES, 0)
    for bar in bars:
        if bar.row > last[bar.lane]:
            last[bar.lane] = bar.row
    return {lane: 1 + row for lane, row in last.items()}


def _ruler(figures: Figures, story: Story) -> list[Bar]:
    """Each turn from its start to the next one's."""
    starts = [turn.spans[0].started_at for turn in figures.turns]
    ends: list[float | None] = [*starts[1:], story.ended_at]
    numbers = [turn.turn for turn in figures.turns]
    return [
        Bar(f"turn-{number}", "turns", 0, "turn", start, end, f"turn {number}", str(number))
        for number, start, end in zip(numbers, starts, ends, strict=False)
    ]


def _turn_bars(turn: Turn) -> list[Bar]:
    """Waiting for the endpoint, reading the prompt, decoding: each from where the one before ended."""
    note = "abandoned: its worker was lost, another asked again" if turn.is_abandoned else ""
    number, label = str(turn.number), f"{turn.number} {', '.join(turn.tools)}".strip()
    began, first = turn.started_at, turn.first_token_at
    bars = []
    if turn.is_queued:
        seated_at = turn.seated_at if turn.seated_at is not None else turn.ended_at
        bars.append(Bar(f"seat-{began}", "model", 0, "seat", began, seated_at, number, number, note=note))
        if turn.seated_at is None:
            return bars
        began = turn.seated_at
    if first is None:
        bars.append(Bar(f"prefill-{began}", "model", 0, "prefill", began, turn.ended_at, number, note=note))
        return bars
    if first - began > JUST_VISIBLE_SECONDS:
        bars.append(Bar(f"prefill-{began}", "model", 0, "prefill", began, first, note=note))
    bars.append(Bar(f"decode-{turn.started_at}", "model", 0, "decode", first, turn.ended_at, label, number, note=note))
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
    """Each group whole on the first row where it overlaps nothing."""
    groups = [group for group in groups if group]
    starts = [min(bar.start for bar in group) for group in groups]
    ends = [max(float("inf") if bar.end is None else bar.end for bar in group) for group in groups]
    rows = first_fit(list(zip(starts, ends, strict=True)))
    return [bar._replace(row=row) if row else bar for row, group in zip(rows, groups, strict=True) for bar in group]


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
    return [*steps, (end, held)]
