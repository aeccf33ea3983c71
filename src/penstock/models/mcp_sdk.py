"""What is used of the SDK of the Model Context Protocol; imported when a server is started."""

from __future__ import annotations

from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client

__all__ = ["Client", "MCPError", "StdioServerParameters", "stdio_client"]
