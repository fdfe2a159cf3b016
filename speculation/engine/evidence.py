"""What has streamed of a model's turn so far, and how it bears on a call that may be coming. Pure values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speculation.engine.types import ToolTraits
from tools.base import ToolCall

REFUTED = "refuted by what the model wrote"
"""Why a guess was stopped of which the evidence left nothing."""


@dataclass(frozen=True)
class Ratios:
    """How much likelier the evidence is if a call comes than if it does not. Measured; see docs/evidence.md."""

    named: float = 1.7
    """All telling values of the call, and of no other call of its tool, are named in the text."""
    partly: float = 1.3
    """Some of its telling values are."""
    rival_named: float = 0.45
    """Another call of its tool is named and this is not."""
    tool_said: float = 4.0
    """All telling words of the tool's name are said."""
    trust: float = 1.75
    """Exponent of the shares of one tool's calls, once it is known: what is likelier is more so than it says."""
    foreseen: float = 0.8
    """P(a tool's call is among its candidates), once the tool is known."""
    agrees: float = 0.15
    """P(a call that nobody foresaw has a given foreseen value in a given argument)."""
    longer: float = 0.05
    """Odds that further arguments follow where a foreseen call has all of its own."""
    filled: float = 0.8
    """P(foreseen values are right for the arguments that a call nobody foresaw still lacks), beside their own shares."""
    letter: float = 0.4
    """P(a name or an id that nobody foresaw goes on, letter by letter, as a foreseen one does)."""
    letter_of_text: float = 0.8
    """The same of a command line, a path or a phrase, which begin alike more often."""


MEASURED = Ratios()


@dataclass(frozen=True)
class Evidence:
    """All of a turn that has streamed. `text` is thinking and speech; the next four are of the call being written."""

    text: str = ""
    tool: str = ""
    """Empty until the name is known, and again between two calls."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Those whose values are complete."""
    partial_name: str = ""
    """The argument whose value, a string, is being written."""
    partial_value: str = ""
    sealed: tuple[ToolCall, ...] = ()
    """Calls of this turn that are complete, in listed order."""

    @property
    def has_calls(self) -> bool:
        return bool(self.tool or self.sealed)

    def has_same_calls(self, other: "Evidence") -> bool:
        """True if the two differ in their texts at most."""
        mine = (self.tool, self.partial_value, self.partial_name, len(self.sealed), self.arguments)
        return mine == (other.tool, other.partial_value, other.partial_name, len(other.sealed), other.arguments)

    def fits(self, call: ToolCall, traits: ToolTraits) -> bool:
        """False if what is written contradicts this call of the same tool. A whole fits what is written of its part."""
        free = traits.cosmetic_arguments | traits.covers
        if not all(n in free or _has_value(call, n, v, traits) for n, v in self.arguments.items()):
            return False
        if not self.partial_name or self.partial_name in free:
            return True
        value = call.arguments.get(self.partial_name)
        return isinstance(value, str) and value.startswith(self.partial_value)

    def chance_of_letters(self, foreseen: Sequence[ToolCall], ratios: Ratios) -> float:
        """P(the value being written begins so | nobody foresaw it). Letters that all foreseen values share tell nothing."""
        values = [str(call.arguments.get(self.partial_name, "")) for call in foreseen]
        letters = max(0, len(self.partial_value) - _common_length(values))
        is_text = any(" " in value or "/" in value for value in values)
        return (ratios.letter_of_text if is_text else ratios.letter) ** letters


def _has_value(call: ToolCall, name: str, value: Any, traits: ToolTraits) -> bool:
    if name not in call.arguments:
        return False
    mine = call.arguments[name]
    is_line = name == traits.shell_argument
    return bool(mine == value) or (is_line and traits.identity({name: mine}) == traits.identity({name: value}))


def _common_length(values: Sequence[str]) -> int:
    low, high = min(values, default=""), max(values, default="")
    return next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
