"""The demo agents by name."""

from collections.abc import Mapping

from speculation.agent.demo.agent import DemoAgent

_ALL: tuple[DemoAgent, ...] = ()
AGENTS: Mapping[str, DemoAgent] = {agent.name: agent for agent in _ALL}

__all__ = ["AGENTS", "DemoAgent"]
