"""Who may come in, and how much: tokens, plans, limits. Pure; the tokens themselves are rows of the store."""

from .account import PASSED, Account, Full, Policy, Seated, Verdict
from .plan import BUILT_IN, UNLIMITED, Plan, Rate, read_plan
from .token import KEY_SIZE, Register, Token, digest_of, new_id, new_secret
from .window import DayQuota, Standing, Window

__all__ = [
    "BUILT_IN",
    "KEY_SIZE",
    "PASSED",
    "UNLIMITED",
    "Account",
    "DayQuota",
    "Full",
    "Plan",
    "Policy",
    "Rate",
    "Register",
    "Seated",
    "Standing",
    "Token",
    "Verdict",
    "Window",
    "digest_of",
    "new_id",
    "new_secret",
    "read_plan",
]
