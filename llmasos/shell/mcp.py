"""`llmasos mcp`: the kernel's tools for any MCP host, over standard input and output."""

from __future__ import annotations

import base64
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from llmasos.api import ToolCall
from llmasos.client import AsyncClient
from llmasos.display import display
from llmasos.errors import LLMasOSError
from llmasos.events import ApprovalRequested, Event, Progress

if TYPE_CHECKING:
    from mcp.server import Server, ServerRequestContext
    from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

    from llmasos.api import ToolInfo, TurnResult
    from llmasos.client import AsyncSession

_log = logging.getLogger(__name__)
_INSTRUCTIONS = (
    "These tools work on a copy-on-write view of one folder, in a sandbox. Nothing reaches the folder itself "
    "until a person writes the changes with the command that results name."
)
_ALLOWING = (
    "A person can allow such calls with a rule of their own (`llmasos policy --help`), or all that would be "
    "asked about by starting `llmasos mcp --yes`; hosts that can ask their person do so."
)
_LONGEST_ASKED = 2000
# Hosts are told of every tool, so that there is nothing to look for.
_LOOKING = "find_tools"
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif"}
_ANSWER = {
    "type": "object",
    "properties": {"allow": {"type": "boolean", "title": "Allow it", "default": False}},
    "required": ["allow"],
}


class Host:
    """Serves one MCP host: one session, on one folder, one call at a time.

    Args:
        client: Reaches the kernel.
        session: The session.
        yes: Whether everything is approved that would be asked about.
    """

    def __init__(self, client: AsyncClient, session: AsyncSession, *, yes: bool) -> None:
        self._client = client
        self._session = session
        self._yes = yes
        self._turn = anyio.Lock()

    def server(self) -> Server[Any]:
        """Return what speaks MCP."""
        from mcp.server import Server

        import llmasos

        return Server(
            "llmasos",
            version=llmasos.__version__,
            instructions=_INSTRUCTIONS,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def _list(
        self, context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        from mcp.types import ListToolsResult

        return ListToolsResult(
            tools=[_tool(tool) for tool in await self._client.tools() if tool.name != _LOOKING]
        )

    async def _call(
        self, context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        from mcp.types import CallToolResult, TextContent

        try:
            async with self._turn:
                result = await self._carry_out(context, params)
        except LLMasOSError as error:
            return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
        content: list[Any] = [TextContent(text=_text(result))]
        content += [picture for path in result.artifacts if (picture := await _picture(Path(path)))]
        if result.changes:
            content.append(TextContent(text=self._waiting(result)))
        return CallToolResult(content=content, is_error=_failed(result))

    async def _carry_out(
        self, context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> TurnResult:
        """Make a call through the gate, asking the host's person where it says so, if the host can."""
        asks = _can_ask(context)
        try:
            async with anyio.create_task_group() as tasks:
                shown = _Steps(context, tasks)

                def passed_on(event: Event) -> None:
                    if isinstance(event, Progress):
                        shown.show(event)
                    elif isinstance(event, ApprovalRequested) and asks:
                        tasks.start_soon(self._ask, context, event)

                result = await self._session.run(
                    f"A program calls {params.name} over MCP.",
                    call=ToolCall(tool=params.name, arguments=dict(params.arguments or {})),
                    approve="all" if self._yes else "ask" if asks else "deny",
                    on_event=passed_on,
                )
                tasks.cancel_scope.cancel()
        except ExceptionGroup as error:
            # Nothing but the turn raises here.
            raise error.exceptions[0] from None
        return result

    async def _ask(self, context: ServerRequestContext[Any], event: ApprovalRequested) -> None:
        lines = [f"{event.tool} wants to run. {event.reason}", *_shown(event)]
        text = display("\n".join(lines), keep_newlines=True)
        if len(text) > _LONGEST_ASKED:
            # A person must not agree to what they have not seen without knowing of it.
            text = f"{text[:_LONGEST_ASKED]}\n[{len(text) - _LONGEST_ASKED:,} more characters are not shown]"
        allowed = False
        try:
            answer = await context.session.elicit_form(text, _ANSWER, context.request_id)
            allowed = answer.action == "accept" and (answer.content or {}).get("allow") is True
        except Exception as error:
            _log.warning("the host could not ask its person: %s", error)
        finally:
            # Whoever does not answer has not allowed it.
            with anyio.CancelScope(shield=True), contextlib.suppress(LLMasOSError):
                await self._session.answer(event.action, event.digest, approve=allowed)

    def _waiting(self, result: TurnResult) -> str:
        session = self._session.id
        return (
            f"[changes of {len(result.changes)} files wait in the session {session}; a person sees them with "
            f"`llmasos diff {session}`, and writes them with `llmasos commit {session}`]"
        )


class _Steps:
    """Passes progress on, the newest where the host is slower than the kernel."""

    def __init__(self, context: ServerRequestContext[Any], tasks: TaskGroup) -> None:
        self._context = context
        self._tasks = tasks
        self._newest: Progress | None = None
        self._sending = False

    def show(self, event: Progress) -> None:
        """Show how far the call is."""
        self._newest = event
        if not self._sending:
            self._sending = True
            self._tasks.start_soon(self._send)

    async def _send(self) -> None:
        try:
            while self._newest is not None:
                event, self._newest = self._newest, None
                await self._context.session.report_progress(event.done, event.total, display(event.what))
        finally:
            self._sending = False


async def serve(folder: Path, *, yes: bool, options: dict[str, Any]) -> None:
    """Serve a host until it closes standard input.

    Args:
        folder: The folder that the tools work on.
        yes: Whether everything is approved that would be asked about.
        options: How the session begins.
    """
    from mcp.server.stdio import stdio_server

    async with AsyncClient(name="mcp") as client:
        session = await client.session(folder, **options)
        server = Host(client, session, yes=yes).server()
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())


def _tool(tool: ToolInfo) -> Any:
    from mcp.types import Tool, ToolAnnotations

    looks = set(tool.capabilities) <= {"reads", "asks_model", "confined"} and bool(tool.capabilities)
    return Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.parameters,
        annotations=ToolAnnotations(read_only_hint=looks, open_world_hint=bool(tool.origin)),
    )


def _can_ask(context: ServerRequestContext[Any]) -> bool:
    able = context.session.client_capabilities
    return able is not None and able.elicitation is not None and context.session.can_send_request


def _failed(result: TurnResult) -> bool:
    return result.status != "done" or any(action.status != "ok" for action in result.actions)


def _text(result: TurnResult) -> str:
    """Return what came of the call, and what a person can do where it was not allowed."""
    told = result.actions[-1].outcome if result.actions else result.answer
    lines = [told] if told else []
    if result.status == "approval_needed":
        lines.append(_ALLOWING)
    elif result.status != "done":
        lines += [text for text in (result.error, result.hint) if text and text not in told]
    return "\n".join(lines) or "Done."


def _shown(event: ApprovalRequested) -> list[str]:
    values = [f"{name}: {value}" for name, value in event.arguments.items()]
    return [*values, *(["", event.preview] if event.preview else [])]


async def _picture(path: Path) -> Any:
    from mcp.types import ImageContent

    if path.suffix not in _PICTURES:
        return None
    try:
        data = await anyio.to_thread.run_sync(path.read_bytes)
    except OSError:
        return None
    return ImageContent(data=base64.b64encode(data).decode(), mime_type=_PICTURES[path.suffix])
