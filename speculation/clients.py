"""The model and the user that a session's loop talks to, made from what its agent's profile says."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from speculation.agent import demo
from speculation.agent.llm import OpenAIModel
from speculation.agent.recorded import RecordedModel, RecordedUser
from speculation.agent.scripted import ScriptedModel
from speculation.agent.types import Message, Model, User
from speculation.models import ModelKind, Session


class Nobody:
    """The user of a submitted task: whoever submitted it reads the answer, and says nothing more."""

    def reply(self, messages: Sequence[Message]) -> str | None:
        return None


@contextmanager
def model_for(session: Session) -> Iterator[Model]:
    """The model of the session's agent, for as long as the session runs here."""
    agent = session.agent
    if agent.model_kind == ModelKind.SCRIPTED:
        script = demo.AGENTS[agent.script].script
        yield ScriptedModel(script, tokens_per_second=settings.PASTE_SCRIPTED_TOKENS_PER_SECOND)
    elif agent.model_kind == ModelKind.RECORDED:
        yield RecordedModel(recording_of(session), float(session.world.get("time_scale", 1.0)))
    else:
        endpoint = OpenAIModel(
            base_url=agent.endpoint or settings.PASTE_LLM_BASE_URL,
            api_key=settings.PASTE_LLM_KEY,
            model=agent.model or settings.PASTE_LLM_MODEL,
            style=agent.tool_call_style,
        )
        with closing(endpoint) as model:
            yield model


def user_for(session: Session) -> User:
    """Who answers when the model speaks without calling a tool."""
    if session.agent.model_kind == ModelKind.RECORDED:
        return RecordedUser(recording_of(session))
    return Nobody()


def recording_of(session: Session) -> dict[str, Any]:
    """The recorded session that this one lives through again."""
    recording: dict[str, Any] = json.loads((Path(session.world["root"]) / "recording.json").read_text())
    return recording
