"""Knowledge: collections of documents that questions are answered from, each a file of its own."""

from llmasos.knowledge.embedder import DIMENSIONS, E5Embedder, Embedder, FakeEmbedder, choose_embedder
from llmasos.knowledge.index import Collection, DocumentInfo, Found
from llmasos.knowledge.library import CollectionInfo, Library
from llmasos.knowledge.passages import Block, Passage, passages
from llmasos.knowledge.words import telling, words

__all__ = [
    "DIMENSIONS",
    "Block",
    "Collection",
    "CollectionInfo",
    "DocumentInfo",
    "E5Embedder",
    "Embedder",
    "FakeEmbedder",
    "Found",
    "Library",
    "Passage",
    "choose_embedder",
    "passages",
    "telling",
    "words",
]
