"""An MCP server whose tools are those of a file, and which does what their names say."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.types import (
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from starlette.responses import Response

FILE = Path(sys.argv[1])
Context = ServerRequestContext[Any]


async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
    told = json.loads(FILE.read_text())
    page = int(params.cursor or 0) if params else 0
    tools = [Tool.model_validate(tool) for tool in told[page : page + 20]]
    more = str(page + 20) if page + 20 < len(told) else None
    return ListToolsResult(tools=tools, next_cursor=more)


async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
    arguments = params.arguments or {}
    match params.name:
        case "crash":
            os._exit(3)
        case "hang":
            await anyio.sleep_forever()
        case "wrong":
            return CallToolResult(content=[TextContent(text="No such city.")], is_error=True)
        case "raise":
            raise ValueError("a bad value")
        case "big":
            return CallToolResult(content=[TextContent(text="x" * 3_000_000)])
        case "picture":
            data = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
            blob = BlobResourceContents(uri="file:///a/report.csv", blob=base64.b64encode(b"a,b").decode())
            return CallToolResult(
                content=[
                    ImageContent(data=data, mime_type="image/png"),
                    ImageContent(data="no base64!", mime_type="image/png"),
                    EmbeddedResource(resource=blob),
                ]
            )
        case "structured":
            return CallToolResult(content=[], structured_content={"n": 3})
        case "steps":
            for step in range(3):
                await context.session.report_progress(step, 3, "working")
            return CallToolResult(content=[TextContent(text="done")])
        case "environment":
            return CallToolResult(content=[TextContent(text=json.dumps(dict(os.environ)))])
        case "noise":
            print("x" * 1_000_000, file=sys.stderr)
    return CallToolResult(content=[TextContent(text=json.dumps(arguments))])


def over_http(server: Server[Any], port: int) -> None:
    """Serve whoever has the right token, on a port, with answers in one piece."""
    app = server.streamable_http_app(json_response=True)

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (b"authorization", b"Bearer t0ken") not in scope["headers"]:
            await Response(status_code=401)(scope, receive, send)
        else:
            await app(scope, receive, send)

    uvicorn.run(guarded, port=port, log_level="error")


async def main(server: Server[Any]) -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


made: Server[Any] = Server("fake", on_list_tools=list_tools, on_call_tool=call_tool)
if len(sys.argv) > 2:
    over_http(made, int(sys.argv[2]))
else:
    anyio.run(main, made)
