"""Who may come in, and how much: tokens, plans, limits. Pure; the tokens themselves are rows of the store."""

from .account import Account, Full, Seated, Verdict
from .home import Home, Limits, Seat, Seating
from .plan import BUILT_IN, UNLIMITED, Plan, Rate, read_plan
from .token import KEY_SIZE, Register, Token, digest_of, new_id, new_secret

__all__ = [
    "BUILT_IN",
    "KEY_SIZE",
    "UNLIMITED",
    "Account",
    "Full",
    "Home",
    "Limits",
    "Plan",
    "Rate",
    "Register",
    "Seat",
    "Seated",
    "Seating",
    "Token",
    "Verdict",
    "digest_of",
    "new_id",
    "new_secret",
    "read_plan",
]
