"""The client's side against the server's, whatever its user does and its network drops."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tickwire.access import BUILT_IN, Account
from tickwire.model import Family, Instrument, Kind
from tickwire.wire import CODE_INVALID, Conversation, Pace, Refusal, Ret, Sought, Terms, Want
from tickwire.wire.session import Cancel, Subscribe

from .peer import session_of

CODES = ["GOLD", "BTCUSDT", "XAUUSD", "Silver", "EURUSD", "USOIL", "ETHUSDT", "NOSUCH"]


class Basic:
    """What the free plan permits: one subscription a second of each kind, five codes."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def answer(self, cmd_id: int) -> None:
        return None

    def subscribe(self, cmd_id: int, now: float) -> bool:
        return self.account.subscribe(cmd_id, now)

    def objection(self, instrument: Instrument) -> Ret | None:
        return None

    def seek(self, family: Family, name: str) -> Ret | None:
        return CODE_INVALID

    def select(self, kind: Kind, wants: tuple[Want | Sought, ...]) -> tuple[Want | Sought, ...]:
        return wants[:5]


class Both:
    """A conversation and one session after another, whose account knows the client."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.account = Account(BUILT_IN["free"])
        self.conversation = Conversation(Terms(spacing=1.0, codes=5), Pace(1.0))
        self.told: list[object] = []
        self.connect()

    def connect(self) -> None:
        self.session = session_of(Basic(self.account), now=self.now)
        self.pushed: dict[Kind, dict[str, int]] = {kind: {} for kind in Kind}
        self.conversation.opened(self.now)

    def turn(self, *, answers: bool = True) -> None:
        """Carries what is due to the server, and its answers back."""
        for item in self.conversation.poll(self.now):
            if not isinstance(item, bytes):
                self.told.append(item)
                continue
            reply, _, decision = self.session.receive(item, self.now)
            assert json.loads(reply)["ret"] in (200, 600)
            if isinstance(decision, Subscribe):
                self.pushed[decision.kind] = {want.name: want.levels for want in decision.wants}
            elif isinstance(decision, Cancel):
                self.pushed |= {kind: {} for kind in decision.kinds}
            if answers:
                self.told += self.conversation.receive(reply, self.now)


step = st.one_of(
    st.tuples(st.just("add"), st.sets(st.sampled_from(CODES), max_size=3)),
    st.tuples(st.just("remove"), st.sets(st.sampled_from(CODES), max_size=3)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.3, 0.5, 1.0, 3.0])),
    st.tuples(st.just("lose answers"), st.none()),
    st.tuples(st.just("reconnect"), st.none()),
)


@given(st.lists(step, max_size=30))
def test_in_the_end_the_server_pushes_what_is_wanted_and_was_never_asked_too_fast(
    steps: list[tuple[str, object]],
) -> None:
    both = Both()
    wanted: dict[str, None] = {}
    for do, what in steps:
        match do, what:
            case "add", set(codes):
                wanted |= dict.fromkeys(sorted(codes))
                both.conversation.add(trades=sorted(codes), books=dict.fromkeys(sorted(codes), 1))
            case "remove", set(codes):
                wanted = {code: None for code in wanted if code not in codes}
                both.conversation.remove(trades=codes, books=codes)
            case "wait", float(seconds):
                both.now += seconds
            case "reconnect", _:
                both.conversation.closed()
                both.connect()
        both.turn(answers=do != "lose answers")
    for _ in range(40):
        both.now += 1.0
        both.turn()
    asked = [code for code in wanted if code != "NOSUCH"]
    room = asked if "NOSUCH" not in wanted or "NOSUCH" not in [*wanted][:5] else None
    for kind in (Kind.TRADE, Kind.DEPTH):
        pushed = [*both.pushed[kind]]
        if room is not None:
            assert sorted(pushed) == sorted(asked[:5])
        else:  # the unknown code may hold a place, unless the server refused it
            assert sorted(pushed) in (sorted(asked[:4]), sorted(asked[:5]))
    if len(wanted) > 5:
        assert any(isinstance(one, Refusal) and one.ret == 603 for one in both.told)
