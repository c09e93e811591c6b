"""What docs/security.md says of bounds: each row has the figures of the program, and a test that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tickwire.config import Settings
from tickwire.files import reading
from tickwire.gateway import gateway
from tickwire.sandbox import scenario
from tickwire.server import acceptance, bodies, guests, http_protocol, publish, shell, tls, websocket
from tickwire.wire import frames, messages, session
from tickwire.wire import publish as published

ROOT = Path(__file__).parents[2]
KIB, MIB = 1024, 2**20
SET = {name: one.default for name, one in Settings.model_fields.items()}

ROWS: list[tuple[str, list[str], str]] = [
    (
        "connections in all",
        [f"less {acceptance.SPARE} "],
        "test_without_descriptors_newcomers_wait_and_nobody_else_is_disturbed",
    ),
    ("connections of an address", [], "test_an_address_has_so_many_connections_and_no_more"),
    (
        "TLS handshakes and heads of requests under way",
        [f"{SET['max_handshakes']:,}".replace(",", " "), f"{guests.QUIET:.0f} s"],
        "test_a_crowd_that_says_nothing_gives_way",
    ),
    ("a TLS handshake", [f"{tls.HANDSHAKE_TIMEOUT:.0f} s"], "test_a_handshake_that_stalls_is_dropped"),
    (
        "what TLS says of itself on a connection, such as new keys",
        [f"{tls.MOST_ANSWERS // KIB} KiB"],
        "test_keys_are_not_changed_without_end",
    ),
    (
        "request line and headers",
        [
            f"{http_protocol.MAX_HEAD // KIB} KiB",
            f"{http_protocol.MAX_FIELDS} headers",
            f"{http_protocol.HEAD_TIMEOUT:.0f} s",
        ],
        "test_heads_without_end_are_cut_off",
    ),
    ("requests behind one another on a connection", [], "test_requests_that_nobody_reads_do_not_pile_up"),
    (
        "a body, a WebSocket message",
        [f"{messages.MAX_MESSAGE // MIB} MiB"],
        "test_a_message_too_long_is_read_to_its_end_before_our_side_ends",
    ),
    (
        "a body that is read as a whole",
        [f"{bodies.STALL:.0f} s without", f"{bodies.WHOLE:.0f} s in all"],
        "test_a_body_that_trickles_is_answered",
    ),
    (
        "a body that nobody wants",
        [f"{http_protocol.REST_TIMEOUT:.0f} s"],
        "test_a_body_that_nobody_wants_does_not_hold_the_connection",
    ),
    (
        "all unfinished bodies; all heads over 16 KiB",
        [f"{bodies.MOST_HELD // MIB} MiB", f"{http_protocol.MOST_HELD // MIB} MiB"],
        "test_all_bodies_together_are_bounded",
    ),
    (
        "a WebSocket message in fragments",
        [f"{frames.MESSAGE_TIMEOUT:.0f} s"],
        "test_a_message_in_fragments_must_end",
    ),
    ("nesting and numbers of JSON", [], "test_it_is_bounded_in_size_and_depth"),
    (
        "compression of WebSockets",
        [f"{messages.MAX_MESSAGE // MIB} MiB"],
        "test_what_may_not_be_sent",
    ),
    (
        "a client that does not read: HTTP",
        [f"{http_protocol.STALL_TIMEOUT:.0f} s"],
        "test_who_reads_nothing_of_many_answers_leaves_no_traceback",
    ),
    (
        "a client or publisher that does not read: WebSocket",
        [
            f"{SET['client_buffer'] // MIB} MiB",
            f"{shell.UNREAD_LEAST // KIB} KiB",
            f"{SET['unread_timeout']:.0f} s",
        ],
        "test_a_client_that_never_reads_is_closed_and_the_others_get_everything",
    ),
    (
        "all of them together",
        ["a quarter"] if websocket.SHARE == 4 else ["?"],
        "test_what_is_unread_in_all_is_bounded",
    ),
    (
        "a WebSocket without heartbeat",
        [f"{session.HEARTBEAT_TIMEOUT:.0f} s"],
        "test_a_silent_client_is_cut_at_30_s_and_not_before",
    ),
    ("a closing handshake", [f"{shell.LINGER:.0f} s"], "test_who_never_answers_a_close_is_dropped"),
    ("requests, connections, codes", [], "test_the_rate_of_all_http"),
    (
        "codes in one list of a connection (of bars: codes × types)",
        [f"{SET['max_subscriptions']:,}".replace(",", " ")],
        "test_a_list_has_a_bound_whatever_the_plan",
    ),
    ("bars of one answer", ["500"], "test_the_count_is_cut_to_500_and_1_if_missing"),
    ("published lines", [f"{published.MAX_LINE // KIB} KiB"], "test_a_line_that_is_too_long_is_one_bad_line"),
    ("a gzip body", [f"{publish.MOST_GAIN} times"], "test_a_gzip_bomb_is_not_unpacked"),
    ("a body that stalls (publishing)", [f"{publish.STALL:.0f} s"], "test_a_body_that_stops_coming"),
    (
        "unknown tokens",
        ["one line of log in ten seconds"] if gateway.TOKEN_REPORT == 10 else ["?"],
        "test_refused_tokens_are_one_line_every_ten_seconds",
    ),
    (
        "files of yours",
        [
            f"scenarios {scenario.MAX_BYTES // MIB} MiB",
            f"TOML {reading.MOST_TOML // MIB} MiB",
            f"CSV {reading.MOST // MIB} MiB",
        ],
        "test_a_scenario_in_json_is_bounded_as_well",
    ),
]


def rows() -> dict[str, str]:
    """What is bounded, and by what."""
    page = (ROOT / "docs/security.md").read_text("utf-8")
    table = page.partition("## Bounds\n")[2].partition("\nA server that was paused")[0]
    cells = [[one.strip() for one in line.split("|")] for line in table.splitlines() if line[:1] == "|"]
    return {one[1]: one[2] for one in cells[2:]}


def test_each_row_is_shown_by_a_test() -> None:
    assert [what for what, _, _ in ROWS] == [*rows()]
    written = "\n".join(one.read_text("utf-8") for one in (ROOT / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"def (test_\w+)\(", written))
    assert {test for _, _, test in ROWS} - tests == set()


@pytest.mark.parametrize(("what", "figures"), [(what, figures) for what, figures, _ in ROWS])
def test_the_figures_are_those_of_the_program(what: str, figures: list[str]) -> None:
    assert [one for one in figures if one not in rows()[what]] == []
