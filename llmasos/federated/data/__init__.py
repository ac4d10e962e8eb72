"""Data sets: read from files and installed packages, checked, and dealt to clients."""

from llmasos.federated.data.deal import Deal
from llmasos.federated.data.examples import prepare
from llmasos.federated.data.mnist import fetch_mnist
from llmasos.federated.data.partition import partition
from llmasos.federated.data.sources import divided, load
from llmasos.federated.data.survey import agree, survey

__all__ = ["Deal", "agree", "divided", "fetch_mnist", "load", "partition", "prepare", "survey"]
