"""A client for any OpenAI-compatible chat-completions endpoint, streaming."""

import email.utils
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from speculation.agent import json_calls, native_calls
from speculation.agent.json_calls import JsonTurn
from speculation.agent.native_calls import NativeTurn
from speculation.agent.types import (
    FirstToken,
    Message,
    ModelError,
    ModelEvent,
    ModelStream,
    ThinkingDelta,
    ToolSpec,
    TurnEnded,
)

Style = Literal["native", "json"]
RETRY_SECONDS = 2.0
"""Where an endpoint is only busy or was cut off, and does not say how long to wait."""


class OpenAIModel:
    """One model behind one endpoint. Safe to use from several threads.

    `style`: "native" tool calls, or "json" for small models that have none and whose server holds them to a schema.
    `timeout_seconds` is the longest silence between two pieces of an answer.
    """

    is_scripted = False

    def __init__(
        self,
        base_url: str,
        api_key: str,
        model: str,
        style: Style = "native",
        *,
        timeout_seconds: float = 120.0,
        connect_timeout_seconds: float = 10.0,
    ) -> None:
        self.name = model
        self.base_url = base_url
        self._style = style
        self._key = api_key
        # An endpoint of one's own often wants no key; the client insists on one.
        self._client = openai.OpenAI(
            base_url=base_url,
            api_key=api_key or "no-key",
            timeout=openai.Timeout(timeout_seconds, connect=connect_timeout_seconds),
            max_retries=0,
        )

    def close(self) -> None:
        """Let go of the connections. The model answers nothing after that."""
        self._client.close()

    def stream(self, turn: int, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> ModelStream:
        """Raises ModelError, whose text never holds the key. Closing the stream closes the response."""
        try:
            yield from self._stream(turn, messages, tools)
        except openai.OpenAIError as error:
            # "from None": the cause may quote headers or a body with the key in it
            raise self._explain(error) from None
        except json.JSONDecodeError:
            raise ModelError(
                f"{self._where} sent something that is no JSON in the midst of its stream.", RETRY_SECONDS
            ) from None

    def _stream(self, turn: int, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Iterator[ModelEvent]:
        create: Callable[..., openai.Stream[ChatCompletionChunk]] = self._client.chat.completions.create
        calls = native_calls if self._style == "native" else json_calls
        grown: NativeTurn | JsonTurn = NativeTurn(turn) if self._style == "native" else JsonTurn(turn)
        body = calls.request_body(messages, tools)
        finish_reason, has_begun, chunk = "", False, None
        usage: dict[str, int] = {}
        with closing(create(model=self.name, stream=True, stream_options={"include_usage": True}, **body)) as chunks:
            for chunk in chunks:
                usage = _usage(chunk) or usage
                for choice in (chunk.choices or ())[:1]:
                    if not has_begun and _says_something(choice.delta):
                        has_begun = True
                        yield FirstToken()
                    if thought := _thought(choice.delta):
                        yield ThinkingDelta(thought)
                    yield from grown.add(choice.delta)
                    if choice.finish_reason:
                        finish_reason = choice.finish_reason
                        yield from grown.finish()
        if chunk is None:
            advice = "check the base URL (PASTE_LLM_BASE_URL; most end in /v1)"
            raise ModelError(f"{self._where} answered, but with no stream of chat completions: {advice}.")
        if not finish_reason:
            raise ModelError(f"{self._where} broke off in the middle of an answer.", RETRY_SECONDS)
        yield TurnEnded(grown.text, grown.calls, finish_reason, usage)

    @property
    def _where(self) -> str:
        parts = urlsplit(self.base_url)
        host = parts.netloc.rpartition("@")[2]
        return f"The model endpoint {parts.scheme}://{host}{parts.path}"

    def _explain(self, error: openai.OpenAIError) -> ModelError:
        if isinstance(error, openai.APITimeoutError):
            return ModelError(f"{self._where} kept silent for too long.", RETRY_SECONDS)
        if isinstance(error, openai.APIConnectionError):
            advice = "check that it runs, and the base URL (PASTE_LLM_BASE_URL)"
            return ModelError(f"{self._where} cannot be reached or broke off: {advice}.", RETRY_SECONDS)
        if isinstance(error, openai.APIStatusError):
            return self._explain_status(error)
        return ModelError(f"{self._where} reported an error: {self._without_key(str(error))}", RETRY_SECONDS)

    def _explain_status(self, error: openai.APIStatusError) -> ModelError:
        said = self._without_key(error.message)[:500]
        status = error.status_code
        if status in (401, 403):
            return ModelError(f"{self._where} refused the key (status {status}): set PASTE_LLM_KEY to a valid one.")
        if status == 404:
            advice = f"has no model {self.name!r}, or the base URL is wrong (most end in /v1)"
            return ModelError(f"{self._where} {advice}: {said}")
        if status == 429:
            wait_seconds = None if error.code == "insufficient_quota" else retry_after_seconds(error.response.headers)
            return ModelError(f"{self._where} wants fewer requests, or the quota is used up: {said}", wait_seconds)
        if status >= 500:
            return ModelError(f"{self._where} failed: {said}", retry_after_seconds(error.response.headers))
        return ModelError(f"{self._where} refused the request (status {status}): {said}")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def retry_after_seconds(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float:
    """What Retry-After says, as seconds or as a date; RETRY_SECONDS where it says nothing."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now())
    except (TypeError, ValueError):
        return RETRY_SECONDS


def _says_something(delta: ChoiceDelta) -> bool:
    """Reasoning counts: the prompt has been read."""
    return bool(delta.content or delta.tool_calls or _thought(delta))


def _thought(delta: ChoiceDelta) -> str:
    """The reasoning that some servers stream apart, under one name or the other."""
    extra: Mapping[str, Any] = delta.model_extra or {}
    thought = extra.get("reasoning_content") or extra.get("reasoning")
    return thought if isinstance(thought, str) else ""


def _usage(chunk: ChatCompletionChunk) -> dict[str, int]:
    if chunk.usage is None:
        return {}
    return {"prompt_tokens": chunk.usage.prompt_tokens, "completion_tokens": chunk.usage.completion_tokens}
