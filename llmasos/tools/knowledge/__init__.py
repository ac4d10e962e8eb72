"""Documents that questions are answered from."""

from llmasos.tools.knowledge.ask import ask_documents
from llmasos.tools.knowledge.shelf import Shelf

__all__ = ["Shelf", "ask_documents"]
