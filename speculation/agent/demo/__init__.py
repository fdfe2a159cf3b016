"""The demo agents by name: research, coding, support."""

from collections.abc import Mapping
from types import MappingProxyType

from speculation.agent.demo.agent import DemoAgent
from speculation.agent.demo.coding import CODING
from speculation.agent.demo.research import RESEARCH
from speculation.agent.demo.support import SUPPORT

AGENTS: Mapping[str, DemoAgent] = MappingProxyType({agent.name: agent for agent in (RESEARCH, CODING, SUPPORT)})

__all__ = ["AGENTS", "DemoAgent"]
