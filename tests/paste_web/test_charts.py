"""The Plotly figure of a timeline, as data."""

import json

from paste_web.charts import LOOKS, timeline_figure
from paste_web.strip import strip_boxes
from speculation.figures import compute
from speculation.story import Story
from speculation.strip import draw_strip
from speculation.timeline import MARKS, draw
from tests.speculation.written_log import WrittenLog, example


def figure_of(log, now=None):
    story = Story(log)
    return timeline_figure(draw(story, compute(story, now=now), now=now), revision="r")


def test_every_colour_is_a_token_or_clear():
    colours = []

    def walk(key, value):
        if isinstance(value, dict):
            for name, item in value.items():
                walk(name, item)
        elif isinstance(value, list):
            for item in value:
                walk(key, item)
        elif "color" in str(key) or key == "bgcolor":
            colours.append(value)

    walk("", figure_of(example()))
    assert len(colours) > 20
    assert all(colour.startswith("var(--") or colour == "rgba(0,0,0,0)" for colour in colours)


def test_every_state_has_a_look():
    assert set(MARKS) - set(LOOKS) == {"skipped"}  # a skipped call is a tick on the model's row


def test_a_state_is_one_trace_and_its_bars_lie_in_their_rows():
    figure = figure_of(example())
    names = [trace["name"] for trace in figure["data"]]
    assert len(names) == len(set(names))
    for trace in figure["data"]:
        if trace["type"] == "bar":
            assert all(0 < y < figure["rows"] for y in trace["y"])
            assert len(trace["base"]) == len(trace["x"]) == len(trace["y"]) == len(trace["customdata"])


def test_open_bars_are_left_to_the_browser():
    log = WrittenLog().started().add(0, "turn_started", turn=1, attempt=1).add(0.1, "first_token", turn=1)
    figure = figure_of(log.guess("g", 0.2, "read", {"id": 7}, start=0.2), now=3.0)
    assert {bar["state"]: bar["label"] for bar in figure["open"]} == {"turn": "turn 1", "decode": "1", "guess": "? read(7)"}
    assert not any(trace["name"] in ("decode", "guess") for trace in figure["data"])


def test_a_figure_is_json_and_arguments_write_no_markup_into_it():
    log = WrittenLog().started().turn(1, 0, 1, "read").requested("1.0", "read", 1, 1, 2, arguments={"q": '<a href="//x">'})
    text = json.dumps(figure_of(log.ended(3)), allow_nan=False)
    assert "<a" not in text and "&lt;a" in text


def test_hollow_dashed_and_dotted_boxes_are_closed_lines():
    figure = figure_of(example())
    ghost = next(trace for trace in figure["data"] if trace["name"] == "ghost")
    assert ghost["line"]["dash"] == "dash"
    assert ghost["x"][0] == ghost["x"][4] and ghost["x"][5] is None


def test_links_know_whose_they_are():
    figure = figure_of(example())
    links = {trace["name"]: trace for trace in figure["data"] if trace["name"].startswith("links-")}
    assert set(links) == {"links-launch", "links-promotion", "links-refuted"}
    assert all(len(trace["customdata"]) == len(trace["x"]) == len(trace["y"]) for trace in links.values())
    assert set(links["links-promotion"]["customdata"]) == {"1.0", "2.0", "3.0"}


def test_what_gave_way_has_a_cut_edge():
    log = WrittenLog().started().turn(1, 0, 5).guess("g", 0, "read", start=1).add(2, "job_preempted", job="g", reason="slot needed")
    (cut,) = [trace for trace in figure_of(log.add(2.2, "job_released", job="g").ended(5))["data"] if trace["name"] == "cut"]
    assert cut["x"] == [2.2]


def test_a_view_is_told_and_open_ends_are_null():
    story = Story(WrittenLog().started().turn(1, 0, 1))
    figures = compute(story, now=2)
    assert timeline_figure(draw(story, figures, now=2), revision="r")["view"] is None
    assert timeline_figure(draw(story, figures, now=2, view=(1, 2)), revision="r")["view"] == [0.5, None]


def test_a_session_without_speculation_says_what_it_would_have_hidden():
    log = WrittenLog().started(arm="holdout").add(0.5, "predicted", turn=1, abstained=[], candidates=[{"tool": "read", "arguments": {}}])
    story = Story(log.turn(1, 0.6, 2, "read").requested("1.0", "read", 2, 2, 6).ended(7))
    boxes = strip_boxes(draw_strip(story, compute(story)))
    assert boxes.notes == ["would have hidden 1.5 s (shadow)"]
    assert boxes.sentence == "The session took 7.0 s. Speculation would have hidden 1.5 s (shadow)."


def test_a_strip_says_in_a_sentence_what_it_shows():
    story = Story(example())
    boxes = strip_boxes(draw_strip(story, compute(story), pair_seconds=23.9))
    assert boxes.sentence == "18.4 s with speculation, about 23.6 s without: 5.2 s saved."
    assert boxes.gain is not None and boxes.gain.label == "5.2 s saved"
    assert boxes.pair_text == "pair took 23.9 s"
    assert [row.name for row in boxes.rows] == ["Without speculation", "With speculation"]


def test_a_loss_is_a_loss():
    log = WrittenLog().started().turn(1, 0, 1, "read").guess("g", 0.5, "read")
    log.asks("1.0", 1, "read", "g", "raised").add(3, "job_started", job="g", attempt=1).ends("g", 4).returns("1.0", 4, "read", "g")
    story = Story(log.ended(5))
    boxes = strip_boxes(draw_strip(story, compute(story)))
    assert boxes.gain is not None and boxes.gain.label == "2.0 s lost"
    assert boxes.sentence.endswith("2.0 s lost.")
