"""Tools of others, as plugins and MCP servers bring them: they declare what they are, and do nothing real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llmasos.decisions import SourceKind
from llmasos.errors import ToolError
from llmasos.tools import Capabilities, KernelContext, Tool, kernel_tool


@dataclass
class Scene:
    """What foreign tools return in a run; whatever they are told to do only shows in the calls."""

    replies: Mapping[str, Any] = field(default_factory=dict)
    prints: Mapping[str, str] = field(default_factory=dict)

    def reply(self, name: str, key: object = None) -> Any:
        """Return what a tool says to its first argument.

        Raises:
            ToolError: There is nothing of that name.
        """
        said = self.replies.get(name, "Done.")
        if not isinstance(said, dict):
            return said
        if str(key) not in said:
            raise ToolError(f"{name}: there is no {key!r}.", hint=f"There is: {', '.join(said)}.")
        return said[str(key)]


def _reads(kind: SourceKind, *reaches: str) -> Capabilities:
    return Capabilities(reads=True, reaches=reaches, sources={"*": kind})


def _acts(host: str, *reaches: str) -> Capabilities:
    return Capabilities(network=(host,), reaches=reaches, sources={"*": "mcp"})


def foreign_tools(scene: Scene) -> list[Tool]:
    """Return all of them, with the names of the plugins and servers that they come from."""

    @kernel_tool(capabilities=_reads("web", "url"))
    async def fetch_page(ctx: KernelContext, url: str) -> str:
        """Fetches a web page as text."""
        return str(scene.reply("fetch_page", url))

    @kernel_tool(capabilities=_reads("web"))
    async def search_web(ctx: KernelContext, query: str) -> list[dict[str, Any]]:
        """Searches the web."""
        return list(scene.reply("search_web"))

    @kernel_tool(capabilities=_acts("files.example.net", "url"))
    async def upload_file(ctx: KernelContext, path: str, url: str) -> str:
        """Uploads a file of the folder to a link."""
        return "Uploaded."

    @kernel_tool(capabilities=_reads("mcp"))
    async def mail_list(ctx: KernelContext, query: str = "") -> list[dict[str, Any]]:
        """Lists mails with their sender and subject."""
        return list(scene.reply("mail_list"))

    @kernel_tool(capabilities=_reads("mcp"))
    async def mail_read(ctx: KernelContext, id: str) -> str:
        """Shows a mail."""
        return str(scene.reply("mail_read", id))

    @kernel_tool(capabilities=_acts("mail.example.net", "to"))
    async def mail_send(ctx: KernelContext, to: str, subject: str, body: str) -> str:
        """Sends a mail."""
        return "Sent."

    @kernel_tool(capabilities=_acts("mail.example.net", "to"))
    async def mail_rule(ctx: KernelContext, match: str, to: str) -> str:
        """Forwards every mail that matches from now on."""
        return "Added."

    @kernel_tool(capabilities=_reads("mcp"))
    async def contacts_find(ctx: KernelContext, name: str) -> list[dict[str, Any]]:
        """Finds people in the address book."""
        return list(scene.reply("contacts_find", name))

    @kernel_tool(capabilities=_reads("mcp"))
    async def calendar_list(ctx: KernelContext, day: str) -> list[dict[str, Any]]:
        """Lists the appointments of a day."""
        return list(scene.reply("calendar_list", day))

    @kernel_tool(capabilities=_acts("calendar.example.net", "guests"))
    async def calendar_add(ctx: KernelContext, title: str, when: str, guests: list[str]) -> str:
        """Makes an appointment and invites guests."""
        return "Added."

    @kernel_tool(capabilities=_acts("calendar.example.net", "id"))
    async def calendar_delete(ctx: KernelContext, id: str) -> str:
        """Cancels an appointment."""
        return "Cancelled."

    @kernel_tool(capabilities=_reads("mcp"))
    async def ticket_read(ctx: KernelContext, number: int) -> str:
        """Shows a ticket with its comments."""
        return str(scene.reply("ticket_read", number))

    @kernel_tool(capabilities=_acts("tickets.example.net", "number"))
    async def ticket_comment(ctx: KernelContext, number: int, text: str) -> str:
        """Comments on a ticket, which everybody sees."""
        return "Commented."

    @kernel_tool(capabilities=_acts("tickets.example.net", "number"))
    async def ticket_close(ctx: KernelContext, number: int, reason: str) -> str:
        """Closes a ticket."""
        return "Closed."

    @kernel_tool(capabilities=_reads("mcp"))
    async def database_query(ctx: KernelContext, sql: str) -> list[dict[str, Any]]:
        """Answers a question in SQL."""
        return list(scene.reply("database_query"))

    @kernel_tool(capabilities=_acts("database.example.net", "sql"))
    async def database_execute(ctx: KernelContext, sql: str) -> str:
        """Changes the database in SQL."""
        return "Done."

    @kernel_tool(capabilities=_reads("mcp"))
    async def bank_transactions(ctx: KernelContext, account: str = "") -> list[dict[str, Any]]:
        """Lists the newest transactions."""
        return list(scene.reply("bank_transactions"))

    @kernel_tool(capabilities=_acts("bank.example.net", "account", "amount"))
    async def bank_pay(ctx: KernelContext, account: str, amount: float, reference: str = "") -> str:
        """Pays an amount in euros to an account."""
        return "Paid."

    @kernel_tool(capabilities=_reads("mcp"))
    async def chat_read(ctx: KernelContext, channel: str) -> list[dict[str, Any]]:
        """Shows the newest messages of a channel."""
        return list(scene.reply("chat_read", channel))

    @kernel_tool(capabilities=_acts("chat.example.net", "channel"))
    async def chat_post(ctx: KernelContext, channel: str, text: str) -> str:
        """Posts a message."""
        return "Posted."

    @kernel_tool(capabilities=_acts("drive.example.net", "person"))
    async def drive_share(ctx: KernelContext, document: str, person: str) -> str:
        """Shares a document with a person."""
        return "Shared."

    @kernel_tool(capabilities=_reads("mcp"))
    async def drive_read(ctx: KernelContext, document: str) -> str:
        """Shows a document."""
        return str(scene.reply("drive_read", document))

    @kernel_tool(capabilities=_reads("tool"))
    async def weather(ctx: KernelContext, city: str) -> str:
        """Tells the weather."""
        return str(scene.reply("weather", city))

    @kernel_tool(capabilities=_reads("tool"))
    async def convert_units(ctx: KernelContext, amount: float, unit: str, into: str) -> str:
        """Converts an amount into another unit."""
        return str(scene.reply("convert_units"))

    origins = {
        "mcp:mail": (mail_list, mail_read, mail_send, mail_rule, contacts_find),
        "mcp:calendar": (calendar_list, calendar_add, calendar_delete),
        "mcp:tickets": (ticket_read, ticket_comment, ticket_close),
        "mcp:database": (database_query, database_execute),
        "mcp:bank": (bank_transactions, bank_pay),
        "mcp:chat": (chat_read, chat_post),
        "mcp:drive": (drive_read, drive_share),
        "plugin:web": (fetch_page, search_web, upload_file),
        "plugin:handy": (weather, convert_units),
    }
    return [replace(one, origin=origin) for origin, tools in origins.items() for one in tools]
