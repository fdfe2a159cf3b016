"""An agent that learned what never comes is sure of it, and never right; its twin is right."""

import random

import pytest

from paste_web.benchmarks import harm, made_up
from paste_web.benchmarks.made_up import Shape
from speculation.engine.prediction import Predictor
from speculation.engine.scheduling import MIN_PROBABILITY
from speculation.engine.types import Event, EventKind
from speculation.predictors import predictors
from speculation.toolbox import Toolbox

pytestmark = pytest.mark.django_db

SHAPE = Shape()


def predictor(foresees: str, shape: Shape = SHAPE) -> Predictor:
    agent = made_up.make_agent(foresees, shape, foresees=foresees, seed=1)
    return predictors.predictor_for(agent, Toolbox.of(agent).traits())


def foreseen(predictor: Predictor, shape: Shape = SHAPE) -> tuple[list[list[str]], list[str]]:
    """Of one session nobody learned from: the entries whose guess admission lets through in each turn, and those looked up."""
    session, looked_up = predictor.session(), made_up.entries(shape, random.Random("unseen"))
    session.observe(Event(EventKind.USER, text=made_up.TASK))
    guesses: list[list[str]] = []
    for turn, entry in enumerate(looked_up, start=1):
        predictions, _ = session.predict(5, only_reads=True)
        likely = [one for one in predictions if one.probability_before_write >= MIN_PROBABILITY]
        guesses.append([one.call.arguments["entry"] for one in likely])
        session.observe(Event(EventKind.LLM, turn=turn, text=made_up.WORDS))
        arguments = {"entry": entry.name}
        session.observe(
            Event(EventKind.TOOL, turn=turn, tool="look_up", status="ok", arguments=arguments, result=entry.result)
        )
    return guesses, [entry.name for entry in looked_up]


def test_who_learned_what_never_comes_is_sure_of_it_and_never_right() -> None:
    guesses, looked_up = foreseen(predictor("others", harm.SHAPE), harm.SHAPE)
    assert not {name for turn in guesses for name in turn} & set(looked_up)
    assert all(len(turn) >= made_up.OTHERS for turn in guesses[1:])


def test_who_learned_what_comes_foresees_every_call_but_the_first() -> None:
    guesses, looked_up = foreseen(predictor("next"))
    assert all([name] == turn for turn, name in zip(guesses[1:], looked_up[1:], strict=True))


def test_the_same_draws_give_the_same_session() -> None:
    assert made_up.entries(SHAPE, random.Random(3)) == made_up.entries(SHAPE, random.Random(3))
    assert made_up.entries(SHAPE, random.Random(3)) != made_up.entries(SHAPE, random.Random(4))
