"""Scenarios are read from files and documents; whatever is wrong in them is named with its place."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.errors import InputError
from tickwire.model import Family, Market
from tickwire.sandbox import (
    Answer,
    Clock,
    Disconnect,
    Halt,
    Jump,
    Late,
    Scenario,
    clock_target,
    library,
    load_scenario,
    read_scenario,
    scenario_of,
)
from tickwire.sandbox.check import FIELDS

WHERE = "mine.toml"
FULL = """
name = "all sorts"
description = "A bit of everything."
seed = 7

[[step]]
do = "halt"
at = 5
for = 30.5
codes = ["AAPL.US", "700.HK"]
markets = ["crypto"]

[[step]]
do = "late"
by = [0.5, 3]
chance = 0.1

[[step]]
do = "jump"
percent = -3.3

[[step]]
do = "disconnect"
after = 2
reset = true
family = "stock"
connections = [1]
tokens = ["team"]

[[step]]
do = "answer"
ret = 605
requests = [22004, "/kline"]

[[step]]
do = "clock"
to = "saturday 12:00"
speed = 0
"""
FULL_SCENARIO = Scenario(
    name="all sorts",
    description="A bit of everything.",
    seed=7,
    steps=(
        Halt(at=5, lasts=30.5, codes=("AAPL.US", "700.HK"), markets=(Market.CRYPTO,)),
        Late(by=(0.5, 3.0), chance=0.1),
        Jump(percent=Decimal("-3.3")),
        Disconnect(after=2, reset=True, family=Family.STOCK, connections=(1,), tokens=("team",)),
        Answer(ret=605, requests=(22004, "/kline")),
        Clock(to="saturday 12:00", speed=0),
    ),
)


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read_scenario(text, WHERE)
    said = str(caught.value)
    assert "\n" not in said
    return said


def step(*lines: str) -> str:
    """A step that begins on line 3, its first line after `do` on line 5."""
    return "\n".join(["# mine", "", "[[step]]", *lines]) + "\n"


def test_all_fields_are_read() -> None:
    assert read_scenario(FULL, WHERE) == FULL_SCENARIO


def test_a_document_is_read_as_a_file_is() -> None:
    document = {
        "name": "all sorts",
        "description": "A bit of everything.",
        "seed": 7,
        "step": [
            {"do": "halt", "at": 5, "for": 30.5, "codes": ["AAPL.US", "700.HK"], "markets": ["crypto"]},
            {"do": "late", "by": [0.5, 3], "chance": 0.1},
            {"do": "jump", "percent": "-3.3"},
            {
                "do": "disconnect",
                "after": 2,
                "reset": True,
                "family": "stock",
                "connections": [1],
                "tokens": ["team"],
            },
            {"do": "answer", "ret": 605, "requests": [22004, "/kline"]},
            {"do": "clock", "to": "saturday 12:00", "speed": 0},
        ],
    }
    assert scenario_of(document, "the body") == FULL_SCENARIO


@pytest.mark.parametrize("action", [action for action in FIELDS if action not in ("jump", "answer", "clock")])
def test_most_actions_need_nothing_more(action: str) -> None:
    (only,) = read_scenario(f'[[step]]\ndo = "{action}"', WHERE).steps
    assert only.at == 0
    assert only.lasts is None


# Files that are wrong, the line that is named, and words that say what is wrong and what would be right.
WRONG: dict[str, tuple[str, int, list[str]]] = {
    "nothing": ("", 1, ["no steps", "[[step]]"]),
    "no steps": ('name = "a"\nstep = []\n', 1, ["no steps"]),
    "a step in one pair of brackets": ('# a\n[step]\ndo = "halt"\n', 2, ["step", "table", "[[step]]"]),
    "step as text": ('name = "a"\nstep = "halt"\n', 2, ["list", '"halt"']),
    "a step as text": ('step = [\n  {do = "halt"},\n  "halt",\n]\n', 3, ["step 2", "table", '"halt"']),
    "misspelt table": ('[[steps]]\ndo = "halt"\n', 1, ["steps", "nearest is step."]),
    "misspelt key": ('# a\nnmae = "a"\n[[step]]\ndo = "halt"\n', 2, ["nmae", "nearest is name."]),
    "no table at all": ('# a\n\ndo = "halt"\n', 3, ["outside", "[[step]]"]),
    "seed within a step": (step('do = "halt"', "seed = 1"), 5, ["seed", "above the first"]),
    "name as number": ('seed = 1\nname = 5\n[[step]]\ndo = "halt"\n', 2, ["name", "text", "5"]),
    "empty name": ('name = ""\n[[step]]\ndo = "halt"\n', 1, ["name", "1 to 64"]),
    "name of two lines": ('seed = 1\nname = "a\\nb"\n[[step]]\ndo = "halt"\n', 2, ["name", "one line"]),
    "seed as text": ('seed = "a"\n[[step]]\ndo = "halt"\n', 1, ["seed", "whole number", '"a"']),
    "endless seed": (f'seed = 0x{"f" * 5000}\n[[step]]\ndo = "halt"\n', 1, ["seed", "digits"]),
    "no action": (step("at = 5"), 3, ["step 1", "do", "halt", "clock"]),
    "unknown action": (step('do = "hlat"'), 4, ['"hlat"', "nearest action is halt.", "clock"]),
    "action as number": (step("do = 5"), 4, ["do", "text", "halt"]),
    "unknown field": (step('do = "halt"', "fro = 5"), 5, ["fro", "halt", "nearest is for.", "codes"]),
    "field of another action": (step('do = "halt"', "times = 5"), 5, ["times", "no field of halt"]),
    "quoted field": (step('do = "halt"', '"a \\" b" = 5'), 5, ["no field of halt"]),
    "text for a number": (step('do = "halt"', 'at = "5"'), 5, ["at", "number", '"5"']),
    "yes for a number": (step('do = "halt"', "at = true"), 5, ["at", "number", "true"]),
    "below zero": (step('do = "halt"', "at = -1"), 5, ["at", "from 0", "-1"]),
    "beyond a year": (step('do = "halt"', "at = 31536001"), 5, ["at", "31536000"]),
    "at nan": (step('do = "halt"', "at = nan"), 5, ["at", "nan"]),
    "at inf": (step('do = "halt"', "at = inf"), 5, ["at", "inf"]),
    "endless at": (step('do = "halt"', "at = 1e400"), 5, ["at", "inf"]),
    "for no time": (step('do = "halt"', "for = 0"), 5, ["for", "above 0"]),
    "for on resume": (step('do = "resume"', "at = 3", "for = 5"), 6, ["for", "resume", "leave it out"]),
    "for on clock": (step('do = "clock"', "speed = 3", "for = 5"), 6, ["for", "clock"]),
    "a code alone": (step('do = "halt"', 'codes = "GOLD"'), 5, ["codes", "list", '"GOLD"']),
    "a number as code": (step('do = "halt"', 'codes = ["A", 700]'), 5, ["entry 2 of codes", "text", "700"]),
    "unknown market": (step('do = "halt"', 'markets = ["moon"]'), 5, ["markets", '"moon"', '"crypto"']),
    "three spans": (step('do = "late"', "by = [1, 2, 3]"), 5, ["by", "list of 2", "list of 3"]),
    "one span": (step('do = "late"', "by = [1]"), 5, ["by", "list of 2", "list of 1"]),
    "span as text": (step('do = "late"', 'by = ["1", 2]'), 5, ["entry 1 of by", '"1"']),
    "span of nan": (step('do = "late"', "by = [0, nan]"), 5, ["entry 2 of by", "nan"]),
    "span downwards": (step('do = "late"', "by = [2.5, 1]"), 5, ["by", "[1, 2.5]"]),
    "delay downwards": (step('do = "delay"', "by = [2, 1]"), 5, ["by", "[1, 2]"]),
    "after downwards": (step('do = "disconnect"', "after = [2, 1]"), 5, ["after", "[1, 2]"]),
    "no chance": (step('do = "late"', "chance = 0"), 5, ["chance", "above 0", "1"]),
    "more than sure": (step('do = "late"', "chance = 1.5"), 5, ["chance", "at most 1", "1.5"]),
    "one time": (step('do = "burst"', "times = 1"), 5, ["times", "from 2 to 1000"]),
    "half a time": (step('do = "burst"', "times = 2.5"), 5, ["times", "whole number", "2.5"]),
    "jump without percent": (step('do = "jump"'), 3, ["step 1", "percent", "number"]),
    "percent as words": (step('do = "jump"', 'percent = "much"'), 5, ["percent", '"much"']),
    "percent nan": (step('do = "jump"', "percent = nan"), 5, ["percent", "nan"]),
    "percent inf": (step('do = "jump"', "percent = inf"), 5, ["percent", "inf"]),
    "percent nan as text": (step('do = "jump"', 'percent = "NaN"'), 5, ["percent", "NaN"]),
    "percent inf as text": (step('do = "jump"', 'percent = "-Infinity"'), 5, ["percent", "Infinity"]),
    "all is lost": (step('do = "jump"', "percent = -100"), 5, ["percent", "above -100", "1000"]),
    "too high": (step('do = "jump"', "percent = 1000.5"), 5, ["percent", "at most 1000", "1000.5"]),
    "too fine": (step('do = "jump"', 'percent = "1e-999999999"'), 5, ["percent", "decimals"]),
    "no limit": (step('do = "limit-up"', "percent = 0"), 5, ["percent", "above 0", "50"]),
    "limit below zero": (step('do = "limit-down"', "percent = -10"), 5, ["percent", "above 0"]),
    "wide limit": (step('do = "limit-down"', "percent = 51"), 5, ["percent", "at most 50", "51"]),
    "answer without ret": (step('do = "answer"'), 3, ["step 1", "ret", "whole number"]),
    "answer of success": (step('do = "answer"', "ret = 200"), 5, ["ret", "605", "200"]),
    "answer to a word": (
        step('do = "answer"', "ret = 605", "requests = [", "22002,", '"kline",', "]"),
        8,
        ["entry 2 of requests", "/kline", '"kline"'],
    ),
    "status of success": (step('do = "refuse"', "status = 200"), 5, ["status", "400", "200"]),
    "closed without a frame": (step('do = "disconnect"', "code = 1006"), 5, ["code", "1006", "reset"]),
    "code nobody knows": (step('do = "disconnect"', "code = 2000"), 5, ["code", "3000", "2000"]),
    "code too small": (step('do = "disconnect"', "code = 503"), 5, ["code", "1000", "503"]),
    "long reason": (step('do = "disconnect"', f'reason = "{"x" * 41}"'), 5, ["reason", "40"]),
    "wide reason": (step('do = "disconnect"', f'reason = "{"😀" * 40}"'), 5, ["reason", "123 bytes"]),
    "reset as number": (step('do = "disconnect"', "reset = 1"), 5, ["reset", "true or false"]),
    "no connection": (step('do = "refuse"', "connections = [0]"), 5, ["connections", "at least 1", "0"]),
    "unknown family": (step('do = "refuse"', 'family = "bond"'), 5, ["family", '"stock"', '"bond"']),
    "clock of nothing": (step('do = "clock"', "at = 5"), 3, ["step 1", "to, speed or hours"]),
    "clock to nowhere": (step('do = "clock"', 'to = "sturday 12:00"'), 5, ["to", "saturday 12:00"]),
    "clock to no hour": (step('do = "clock"', 'to = "sunday 24:00"'), 5, ["to", "sunday 24:00"]),
    "clock to no day": (step('do = "clock"', 'to = "2026-02-30T00:00Z"'), 5, ["to", "2026-02-30"]),
    "clock to no zone": (step('do = "clock"', 'to = "2026-02-03T00:00"'), 5, ["to", "Z"]),
    "clock without quotes": (step('do = "clock"', "to = 2026-02-03T00:00:00Z"), 5, ["to", "a text"]),
    "backwards": (step('do = "clock"', "speed = -1"), 5, ["speed", "from 0 to 1000"]),
    # Not TOML.
    "no quotes": (step("do = halt"), 4, ["TOML"]),
    "no quotes in a list": (step('do = "halt"', "codes = [AAPL.US]"), 5, ["TOML", "quotes"]),
    "open quotes": ('[[step]]\n\ndo = "halt\n', 3, ["TOML"]),
    "open quotes at the end": ('[[step]]\n\ndo = """halt\n\n', 3, ["TOML"]),
    "twice": (step('do = "halt"', 'do = "resume"'), 5, ["TOML"]),
    "half a header": ('\n\n[[step]\ndo = "halt"\n', 3, ["TOML"]),
    "endless number": (f'[[step]]\ndo = "halt"\nat = {"9" * 5000}\n', 3, ["digits"]),
    "endless key": (f"[[step]]\n\n{'a.' * 400_000}b = 1\n", 3, ["parts"]),
    "endless header": (f"[[step]]\n[{' a . ' * 100_000}b]\n", 2, ["parts"]),
    # Where the wrong step stands among others, however they are written.
    "third of four": (
        '[[step]]\ndo = "gap"\n[[step]]\ndo = "gap"\n[[step]]\nat = "x"\ndo = "gap"\n[[step]]\ndo = "gap"\n',
        6,
        ["at", '"x"'],
    ),
    "a step without do among others": (
        '[[step]]\ndo = "halt"\n\n[[step]]  # two\n\n[[step]]\ndo = "halt"\n',
        4,
        ["step 2", "do"],
    ),
    "quoted keys and headers": (
        '[["step"]]\n"do" = "halt"\n[[ \'step\' ]]\n\'do\' = "halt"\n"a\\u0074" = "x"\n',
        5,
        ["at", '"x"'],
    ),
    "inline steps": (
        'step = [ # [[step]]\n  {do = "halt"},\n  {do = "halt", codes = [\n    "]", "}",\n    5,\n  ]},\n]\n',
        5,
        ["entry 3 of codes", "5"],
    ),
    "inline steps on a line": ('step = [{do = "halt"}, {do = "nope"}]\n', 1, ["nope"]),
    "a text that looks like a step": (
        'description = """\n[[step]]\ndo = 5\n"""\n[[step]]\ndo = "halt"\nat = "x"\n',
        7,
        ["at"],
    ),
    "quotes within a text": (
        'description = """a "" \\""" ""\\\n\n[[step]] """""\n[[step]]\ndo = "halt"\nat = "x"\n',
        6,
        ["at"],
    ),
    "a literal text that looks like a step": (
        "description = '''\\\n[[step]]'\n'''''\n[[step]]\ndo = 'halt'\nreason = '[[step]]#\\'\nat = 'x'\n",
        7,
        ["at"],
    ),
    "a comment that looks like a step": (
        '#[[step]]\n#do = "x"\n[[step]] # [[step]]\ndo = "halt" # "\nat = "x" # at = """\n',
        5,
        ["at"],
    ),
    "lines of Windows": ('[[step]]\r\ndo = "halt"\r\n\r\nat = "x"\r\n', 4, ["at"]),
    "dotted": ('[[step]]\ndo = "halt"\ncodes.a = 1\n', 3, ["codes", "list", "table"]),
    "a table below a step": (
        '[[step]]\ndo = "halt"\n[[step]]\ndo = "halt"\n[step.codes]\na = 1\n',
        5,
        ["codes", "list"],
    ),
    "a list of tables below a step": (
        '[[step]]\ndo = "halt"\n[[step.codes]]\na = 1\n[[step.codes]]\n[[step]]\n',
        6,
        ["step 2"],
    ),
}


@pytest.mark.parametrize(("text", "line", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, words: list[str]) -> None:
    said = refusal(text)
    assert said.startswith(f"{WHERE}, line {line}: ")
    assert [word for word in words if word not in said] == []


def test_endless_nesting_is_refused() -> None:
    assert "nested" in refusal(f"a = {'[' * 5000}")


def test_a_token_is_not_repeated() -> None:
    assert "secret" not in refusal(step('do = "delay"', 'tokens = "secret"'))


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (5, "the body: "),
        ({}, "the body: "),
        ({"nmae": 1}, "the body, nmae: "),
        ({"step": None}, "the body, step: "),
        ({"step": ["halt"]}, "the body, step 1: "),
        ({"step": [{"do": "halt"}, {"do": "halt", "codes": "GOLD"}]}, "the body, step 2, codes: "),
        ({"step": [{"do": "halt", "codes": [None]}]}, "the body, step 1, codes, entry 1: "),
        ({"step": [{"do": "halt", "at": float("nan")}]}, "the body, step 1, at: "),
        ({"step": [{"do": "halt", "a\nb": 1}]}, 'the body, step 1, "a\\nb": '),
        ({"step": [{"do": "halt", "a` - at `$.step[5]": 1}]}, 'the body, step 1, "a` - at `$.step[5]": '),
        ({"step": [{"do": "halt", "reason": "\ud800"}]}, "the body, step 1, reason: "),
        ({"step": [{"do": "refuse", "connections": [16**5000]}]}, "the body, step 1, connections, entry 1: "),
        ({"step": [{"do": "clock", "to": "`$.step[5]`"}]}, "the body, step 1, to: "),
        ({"step": [{"do": "halt", "markets": ["x' - at `$.seed`"]}]}, "the body, step 1, markets, entry 1: "),
    ],
)
def test_what_is_wrong_in_a_document_is_named_with_its_place(document: object, place: str) -> None:
    with pytest.raises(InputError) as caught:
        scenario_of(document, "the body")
    assert str(caught.value).startswith(place)
    assert str(caught.value).isprintable()


# Whatever the input.
WORDS = st.sampled_from(
    '[[step]] [step] do = "halt" "clock" "jump" "gap" at for codes by to percent = = = " """ \' \'\'\' '
    "[ ] { } , . # \\ \\u00e9 1 0.5 -3 nan inf 1e400 2026-11-28T12:00:00Z true [1,2] [2,1] é".split()
)
TEXTS = st.one_of(
    st.text(), st.lists(st.one_of(WORDS, st.sampled_from([" ", "\n", "\r\n"])), max_size=40).map("".join)
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=()), max_size=5),
        st.sampled_from(["1e5", "NaN", "saturday 12:00", "crypto", 1006]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
KEYS = sorted({key for known in FIELDS.values() for key in known})


@st.composite
def steps(draw: st.DrawFn) -> dict[str, object]:
    action = draw(st.sampled_from([*FIELDS]))
    return {"do": action, **draw(st.dictionaries(st.sampled_from([*FIELDS[action]]), VALUES, max_size=3))}


@settings(deadline=None)
@given(text=TEXTS)
def test_any_text_is_read_or_refused_in_one_way(text: str) -> None:
    try:
        read_scenario(text, WHERE)
        return
    except InputError as error:
        said = str(error)
    assert said.startswith(WHERE)
    assert "\n" not in said


@settings(deadline=None)
@given(
    document=VALUES
    | st.fixed_dictionaries({"step": VALUES})
    | st.fixed_dictionaries(
        {"step": st.lists(steps(), min_size=1, max_size=3)},
        optional={"name": VALUES, "seed": VALUES, "description": VALUES},
    )
)
def test_any_document_is_read_or_refused_in_one_way(document: object) -> None:
    try:
        scenario_of(document, "the body")
        return
    except InputError as error:
        said = str(error)
    assert said.startswith("the body")
    assert said.isprintable()


# Files.
def test_a_file_is_loaded_and_lends_its_name(tmp_path: Path) -> None:
    path = tmp_path / "outage.toml"
    path.write_text('\ufeff[[step]]\ndo = "refuse"\n', encoding="utf-8")
    assert load_scenario(str(path)).name == "outage"
    path.write_text('name = "named"\n[[step]]\ndo = "refuse"\n')
    assert load_scenario(str(path)).name == "named"


def test_a_file_of_any_name_is_loaded_by_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outage").write_text('[[step]]\ndo = "refuse"\n')
    (tmp_path / "outage.toml").write_text('[[step]]\ndo = "delay"\n')
    monkeypatch.chdir(tmp_path)
    assert len(load_scenario(f".{os.sep}outage").steps) == 1
    assert load_scenario("outage.toml").name == "outage"
    with pytest.raises(InputError, match=r"no scenario \"outage\""):
        load_scenario("outage")


def test_the_library_is_loaded_by_name() -> None:
    assert load_scenario("weekend") is not None
    assert load_scenario("weekend") == library()["weekend"]


@pytest.mark.parametrize(
    ("name", "near"), [("flaky", "flaky-network"), ("halt", "halt-and-resume"), ("", "")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(InputError, match=f"nearest is {near}.*tickwire scenario list"):
        load_scenario(name)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.toml", None, "No such file"),
        ("no\0.toml", None, "null byte"),
        ("folder.toml", None, "Is a directory"),
        ("latin.toml", b'name = "\xe9"', r"not UTF-8 \(byte 8\)"),
        ("large.toml", b"#" * (2**20 + 1), "1 MiB"),
        ("wrong.toml", b"\n[[step]]\ndo = 5", "line 3: do"),
    ],
)
def test_a_file_that_is_of_no_use_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    (tmp_path / "folder.toml").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        load_scenario(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)


def test_a_file_may_be_as_large_as_it_may(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_bytes(b'[[step]]\ndo = "halt"\n'.ljust(2**20, b"\n"))
    assert len(load_scenario(str(path)).steps) == 1


# Where the clock goes.
def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("to", "now", "target"),
    [
        ("2026-11-28T12:00:00Z", "2026-11-01", "2026-11-28T12:00"),
        ("2026-11-28T12:00Z", "2026-12-01", "2026-11-28T12:00"),
        ("2028-02-29T23:59:59Z", "2026-12-01", "2028-02-29T23:59:59"),
        ("saturday 12:00", "2026-11-25T09:00", "2026-11-28T12:00"),
        ("Saturday 12:00", "2026-11-28T11:59:59", "2026-11-28T12:00"),
        ("saturday 12:00", "2026-11-28T12:00", "2026-12-05T12:00"),
        ("saturday 12:00", "2026-11-28T12:00:00.001", "2026-12-05T12:00"),
        ("monday 00:00", "2026-11-29T23:59", "2026-11-30T00:00"),
        ("sunday 23:59", "2026-11-30", "2026-12-06T23:59"),
    ],
)
def test_the_clock_goes_to_that_moment(to: str, now: str, target: str) -> None:
    assert clock_target(to, ms(now)) == ms(target)


@settings(deadline=None)
@given(
    now=st.integers(0, ms("2199-12-31")),
    weekday=st.integers(0, 6),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_a_weekday_is_the_next_one(now: int, weekday: int, hour: int, minute: int) -> None:
    name = "monday tuesday wednesday thursday friday saturday sunday".split()[weekday]
    target = clock_target(f"{name} {hour:02}:{minute:02}", now)
    assert 0 < target - now <= 7 * 86_400_000
    moment = datetime.fromtimestamp(target // 1000, UTC)
    assert (moment.weekday(), moment.hour, moment.minute, target % 60_000) == (weekday, hour, minute, 0)


@settings(deadline=None)
@given(to=st.text())
@pytest.mark.parametrize(
    "prefix",
    ["", "saturday ", "saturday 12:00", "2026-13-01T00:00Z", "1969-01-01T00:00Z", "2200-01-01T00:00Z"],
)
def test_no_other_text_is_a_moment(prefix: str, to: str) -> None:
    if prefix + to == "saturday 12:00":
        return
    with pytest.raises(InputError):
        clock_target(prefix + to, 0)
