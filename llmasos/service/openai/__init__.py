"""The API that clients of OpenAI's speak, over the kernel's models."""

from llmasos.service.openai.errors import ApiError
from llmasos.service.openai.identity import Access
from llmasos.service.openai.routes import openai_routes

__all__ = ["Access", "ApiError", "openai_routes"]
