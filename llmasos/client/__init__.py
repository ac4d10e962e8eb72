"""The typed client of the kernel; it starts the kernel when there is none.

`Client` is synchronous and `AsyncClient` asynchronous; both do the same.
"""

from llmasos.client._async import AsyncClient
from llmasos.client._errors import RequestRefused
from llmasos.client._fold import TurnFold
from llmasos.client._session import AsyncSession
from llmasos.client._sync import Client
from llmasos.client._sync_session import Session

__all__ = ["AsyncClient", "AsyncSession", "Client", "RequestRefused", "Session", "TurnFold"]
