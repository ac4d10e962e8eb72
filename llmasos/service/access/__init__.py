"""Who may call the service: keys with scopes, limits and budgets, and the guard that asks for them."""

from llmasos.service.access.access import Access
from llmasos.service.access.account import Account
from llmasos.service.access.guard import OPEN, Guard, guarded
from llmasos.service.access.keys import Keys, prices_of
from llmasos.service.access.logins import Login, Logins
from llmasos.service.access.needs import Need, needs
from llmasos.service.access.owners import Owners
from llmasos.service.access.routes import key_routes

__all__ = [
    "OPEN",
    "Access",
    "Account",
    "Guard",
    "Keys",
    "Login",
    "Logins",
    "Need",
    "Owners",
    "guarded",
    "key_routes",
    "needs",
    "prices_of",
]
