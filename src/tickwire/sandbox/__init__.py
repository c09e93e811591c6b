"""Scenarios: what goes wrong, when, for whom. Pure; the library is package data."""

from .rules import clock_target
from .running import Client, Run
from .sandbox import Condition, Followed, Sandbox
from .scenario import library, library_text, load_file, load_scenario, scenario_of
from .shaping import Shaped, Way
from .steps import Clock, Disconnect, ExpireToken, Scenario, Step, shown

__all__ = [
    "Client",
    "Clock",
    "Condition",
    "Disconnect",
    "ExpireToken",
    "Followed",
    "Run",
    "Sandbox",
    "Scenario",
    "Shaped",
    "Step",
    "Way",
    "clock_target",
    "library",
    "library_text",
    "load_file",
    "load_scenario",
    "scenario_of",
    "shown",
]
