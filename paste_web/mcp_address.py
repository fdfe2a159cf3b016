"""Where the MCP endpoint is. Apart from the endpoint itself, which brings the protocol's library along."""

ROOT = "/mcp/"


def mcp_path(agent: str) -> str:
    """Of one agent, by its name, which is a slug."""
    return f"{ROOT}{agent}"
