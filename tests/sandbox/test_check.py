"""What is wrong with a scenario is named with its place, whatever the input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.errors import InputError
from tickwire.sandbox import scenario_of
from tickwire.sandbox.check import FIELDS
from tickwire.sandbox.scenario import read_scenario

WHERE = "mine.toml"


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read_scenario(text, WHERE)
    said = str(caught.value)
    assert "\n" not in said
    return said


def step(*lines: str) -> str:
    """A step that begins on line 3, its first line after `do` on line 5."""
    return "\n".join(["# mine", "", "[[step]]", *lines]) + "\n"


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


@st.composite
def steps(draw: st.DrawFn) -> dict[str, object]:
    action = draw(st.sampled_from([*FIELDS]))
    return {"do": action, **draw(st.dictionaries(st.sampled_from([*FIELDS[action]]), VALUES, max_size=3))}


@given(text=TEXTS)
def test_any_text_is_read_or_refused_in_one_way(text: str) -> None:
    try:
        read_scenario(text, WHERE)
        return
    except InputError as error:
        said = str(error)
    assert said.startswith(WHERE)
    assert "\n" not in said


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
