"""What a demo agent is: a profile's contents, its own tasks, and the script that stands in for a model."""

from collections.abc import Sequence
from dataclasses import dataclass

from speculation.agent.scripted import Script


@dataclass(frozen=True)
class DemoAgent:
    """One demo agent. `world` names a folder of tools/worlds; `tools` are names of built-in tools."""

    name: str
    title: str
    description: str
    system_prompt: str
    tools: tuple[str, ...]
    world: str
    tasks: Sequence[str]
    script: Script

    def knows(self, task: str) -> bool:
        """True if the script can do `task`: a scripted agent can do its own tasks and no others."""
        return task in self.tasks
