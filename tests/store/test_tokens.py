"""Tokens at rest: real databases, the key beside them, and several processes at once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.access import KEY_SIZE, Register, Token, digest_of, new_id, new_secret
from tickwire.config import DATABASE
from tickwire.errors import InputError, StartError, StoreError
from tickwire.machine import REAL
from tickwire.model import Market
from tickwire.store import DataDirectory, SqliteFile, TokenStore, open_tokens
from tickwire.store.tokens import KEY_FILE

from ..stores import Place
from .files import as_nobody, locked

ROUNDS = 40
"""How often processes try to meet at the making of a key."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / DATABASE


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / KEY_FILE


@pytest.fixture
def url(place: Place) -> str | None:
    """That of the database, where it is one of PostgreSQL."""
    return place if isinstance(place, str) else None


@pytest.fixture
def store(path: Path, url: str | None) -> Iterator[TokenStore]:
    with open_tokens(path, url) as made:
        yield made


def a_token(store: TokenStore, name: str = "desk", text: str = "s", **fields: Any) -> Token:
    return Token(id=new_id(), digest=digest_of(text, store.key()), name=name, **{"plan": "free"} | fields)


# What is kept.
def test_all_of_a_token_is_kept_but_its_text(path: Path, url: str | None) -> None:
    with open_tokens(path, url) as store:
        full = a_token(
            store,
            '跟 desk\'s "one"',
            markets=frozenset({Market.CRYPTO, Market.HK_STOCK}),
            codes=frozenset({"GOLD", ".DJI.US"}),
            admin=True,
            publish=True,
            created=1_800_000_000_000,
            expires=1_900_000_000_000,
            revoked=1_850_000_000_000,
        )
        bare = a_token(store, "bare", "other", created=1_700_000_000_000)
        store.add(full)
        store.add(bare)
    with open_tokens(path, url) as store:
        assert store.tokens() == [bare, full], "the oldest first"


def test_no_text_of_a_token_stands_in_any_file_while_it_is_open_or_closed(path: Path, key_file: Path) -> None:
    secrets = [new_secret() for _ in range(50)]

    def files() -> dict[str, bytes]:
        found = {file.name: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
        for secret in secrets:
            for part in (secret, secret[3:], secret[3:19]):
                assert [name for name, content in found.items() if part.encode() in content] == []
        return found

    with open_tokens(path) as store:
        for number, secret in enumerate(secrets[:40]):
            store.add(a_token(store, f"token {number}", secret))
        for number, secret in enumerate(secrets[40:]):
            store.rotate(store.find(f"token {number}"), digest_of(secret, store.key()))
        store.revoke(store.find("token 20"), 1)
        written = files()
        assert {*written} == {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", KEY_FILE}
        assert b"token 39" in written[f"{DATABASE}-wal"], "this is where they would stand"
        register = Register(store.tokens(), store.key())
        valid = [secret for secret in secrets if register.find(secret, 0.0)]
        assert valid == [*secrets[10:20], *secrets[21:40], *secrets[40:]]
    assert {*files()} == {DATABASE, KEY_FILE}
    assert key_file.read_bytes() not in path.read_bytes()


def test_a_change_is_counted_and_a_look_is_not(store: TokenStore) -> None:
    counts = [store.changes()]
    token = a_token(store)

    def look() -> None:
        for _ in range(2):
            store.tokens()
            store.find("desk")
            store.key()
            counts.append(store.changes())

    store.add(token)
    look()
    store.rotate(token, b"x" * 32)
    look()
    store.revoke(token, 1)
    look()
    assert counts == [0, 1, 1, 2, 2, 3, 3]


def test_a_name_is_taken_once_even_by_a_revoked_token(store: TokenStore) -> None:
    first = a_token(store)
    store.add(first)
    store.revoke(first, 5)
    before = store.changes()
    with pytest.raises(InputError, match=r"'desk' already\. Choose another --name, or rotate"):
        store.add(a_token(store, text="other"))
    assert [one.id for one in store.tokens()] == [first.id]
    assert store.changes() == before


def test_a_token_is_found_by_name_and_by_id(store: TokenStore) -> None:
    one, two = a_token(store), a_token(store, "other", "o")
    store.add(one)
    store.add(two)
    assert [store.find(text) for text in ("desk", one.id, "other", two.id)] == [one, one, two, two]
    for text in ("Desk", "", "s", one.id[:7], one.digest.hex()):
        with pytest.raises(InputError, match=r"There is no token .*tickwire token list"):
            store.find(text)


def test_a_revoked_token_stays_revoked_since_the_first_time(
    path: Path, url: str | None, store: TokenStore
) -> None:
    token = a_token(store)
    store.add(token)
    store.revoke(token, 5)
    store.revoke(token, 9)
    store.rotate(token, digest_of("new", store.key()))
    with open_tokens(path, url) as again:
        (kept,) = again.tokens()
        assert kept.revoked == 5
        register = Register(again.tokens(), again.key())
        assert [register.find(text, 0.0) for text in ("s", "new")] == [None, None]


def test_a_rotated_token_is_the_same_but_for_its_text(store: TokenStore) -> None:
    token = a_token(store, markets=frozenset({Market.CRYPTO}), expires=10**13)
    store.add(token)
    store.rotate(token, digest_of("new", store.key()))
    register = Register(store.tokens(), store.key())
    found = register.find("new", 0.0)
    assert found is not None
    assert (found.id, found.name, found.markets, found.expires) == (
        token.id,
        "desk",
        token.markets,
        10**13,
    )
    assert register.find("s", 0.0) is None


# The key.
@pytest.mark.skipif(sys.platform == "win32", reason="rights are not by mode there")
def test_the_key_is_made_at_the_first_use_for_its_owner_only(store: TokenStore, key_file: Path) -> None:
    assert store.tokens() == []
    assert not key_file.exists()
    before = os.umask(0)
    try:
        key = store.key()
    finally:
        os.umask(before)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert (len(key), key_file.read_bytes(), store.key()) == (KEY_SIZE, key, key)
    assert [file.name for file in key_file.parent.iterdir() if "key" in file.name] == [KEY_FILE]


def test_each_data_directory_has_a_key_of_its_own(tmp_path: Path) -> None:
    keys = set()
    for n in range(10):
        with open_tokens(tmp_path / str(n) / DATABASE) as store:
            keys.add(store.key())
    assert len(keys) == 10


def test_without_the_key_of_its_tokens_a_store_does_not_open(path: Path, key_file: Path) -> None:
    with open_tokens(path) as store:
        store.add(a_token(store))
    before = path.read_bytes()
    key = key_file.read_bytes()
    key_file.unlink()
    missing = rf"{KEY_FILE} is missing.*Put the right one back.*or choose another --data-dir"
    with (
        pytest.raises(StartError, match=missing),
        open_tokens(path),
    ):
        pass
    assert not key_file.exists(), "no other key is made in its place"
    assert path.read_bytes() == before
    key_file.write_bytes(key)
    with open_tokens(path) as again:
        assert len(again.tokens()) == 1


@pytest.mark.parametrize("size", [0, 16, KEY_SIZE - 1, KEY_SIZE + 1])
def test_a_key_of_another_size_is_refused_and_left_alone(
    store: TokenStore, key_file: Path, size: int
) -> None:
    key_file.write_bytes(b"k" * size)
    with pytest.raises(StartError, match=rf"{KEY_FILE} holds no key of 32 bytes\. Put the right one back"):
        store.key()
    assert key_file.read_bytes() == b"k" * size


def test_a_key_in_which_a_bit_has_flipped_is_told_when_it_is_opened(
    path: Path, url: str | None, key_file: Path
) -> None:
    with open_tokens(path, url) as store:
        store.add(a_token(store))
    key = bytearray(key_file.read_bytes())
    key[17] ^= 4
    key_file.write_bytes(key)
    wrong = rf"{KEY_FILE} is not the key that the tokens were made with.*backup"
    with pytest.raises(StartError, match=wrong), open_tokens(path, url):
        pass
    key[17] ^= 4
    key_file.write_bytes(key)
    with open_tokens(path, url) as store:
        assert Register(store.tokens(), store.key()).find("s", 0.0)


def test_a_key_of_another_directory_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with open_tokens(tmp_path / name / DATABASE) as store:
            store.add(a_token(store))
    (tmp_path / "a" / KEY_FILE).replace(tmp_path / "b" / KEY_FILE)
    with pytest.raises(StartError, match="is not the key"), open_tokens(tmp_path / "b" / DATABASE):
        pass
    with pytest.raises(StartError, match="is missing"), open_tokens(tmp_path / "a" / DATABASE):
        pass


def test_a_key_without_tokens_may_be_replaced(path: Path, url: str | None, key_file: Path) -> None:
    with open_tokens(path, url) as store:
        store.key()
    key_file.unlink()
    with open_tokens(path, url) as store:
        store.add(a_token(store))
    with open_tokens(path, url) as store:
        assert Register(store.tokens(), store.key()).find("s", 0.0)


def test_a_folder_in_place_of_the_key(store: TokenStore, key_file: Path) -> None:
    key_file.mkdir()
    with pytest.raises(StartError, match="Cannot use the key of the tokens"):
        store.key()


@pytest.mark.skipif(sys.platform == "win32", reason="rights are not by mode there")
def test_a_key_that_may_not_be_read(path: Path, url: str | None, store: TokenStore, key_file: Path) -> None:
    key = store.key()
    key_file.chmod(0)
    with open_tokens(path, url) as other, as_nobody():
        with pytest.raises(StartError, match=r"Cannot use the key of the tokens.*Permission denied"):
            other.key()
        assert store.key() == key, "who has it keeps it"


@pytest.mark.skipif(sys.platform == "win32", reason="rights are not by mode there")
def test_a_key_that_others_can_read_is_taken_back_by_a_server_and_told(
    path: Path, url: str | None, store: TokenStore, key_file: Path
) -> None:
    key = store.key()
    key_file.chmod(0o640)
    with capture_logs() as logged, closing(DataDirectory(path.parent, REAL.disk)):
        pass
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert [(one["file"], one["mode"]) for one in logged] == [(str(key_file), "640")]
    with open_tokens(path, url) as other:
        assert other.key() == key


def test_a_store_that_is_locked_or_closed_says_so(path: Path, key_file: Path) -> None:
    with closing(SqliteFile(path, timeout=0.05)) as file:
        store = TokenStore(file, key_file)
        token = a_token(store)
        with locked(path):
            with pytest.raises(StoreError, match=r"locked\. Another program is using it"):
                store.add(token)
            assert store.tokens() == []
            assert store.changes() == 0
        store.add(token)
    with pytest.raises(StoreError, match="closed"):
        store.changes()


# Several at once.
MAKE_KEYS = """
import sys
from pathlib import Path
from tickwire.store import TokenStore, open_tokens
for line in sys.stdin:
    with open_tokens(Path(line.strip())) as store:
        print("open", flush=True)
        sys.stdin.readline()
        print(store.key().hex(), flush=True)
"""
WATCH = """
import sys
from pathlib import Path
from tickwire.store import TokenStore, open_file
from tickwire.store.tokens import KEY_FILE
path = Path(sys.argv[1])
store = TokenStore(open_file(path, *sys.argv[2:]), path.with_name(KEY_FILE))
for line in sys.stdin:
    tokens = (f"{one.name}:{one.revoked}:{one.digest.hex()}" for one in store.tokens())
    print(store.changes(), *tokens, flush=True)
"""


class Child:
    """Another process, which answers a line with a line."""

    def __init__(self, script: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate(timeout=120)


def test_processes_that_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    with closing(Child(MAKE_KEYS)) as one, closing(Child(MAKE_KEYS)) as two:
        both = (one, two)
        for n in range(ROUNDS):
            folder = tmp_path / str(n)
            for child in both:
                child.say(str(folder / DATABASE))
            assert [child.hear() for child in both] == ["open"] * 2
            for child in both:
                child.say()
            keys = {child.hear() for child in both}
            assert keys == {(folder / KEY_FILE).read_bytes().hex()}
            assert [file.name for file in folder.iterdir() if "key" in file.name] == [KEY_FILE]


def test_two_that_make_the_key_at_once_under_one_process_number_get_the_same(
    store: TokenStore, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads, and the first processes of two containers, have the same number."""
    keys: list[bytes] = []
    link = os.link

    def meanwhile(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        other = threading.Thread(target=lambda: keys.append(store.key()))
        other.start()
        other.join(10)
        link(source, target)

    monkeypatch.setattr(os, "link", meanwhile)
    keys.append(store.key())
    assert {*keys} == {key_file.read_bytes()}


def test_a_change_is_seen_by_another_process(path: Path, url: str | None, store: TokenStore) -> None:
    with closing(Child(WATCH, path, *([url] if url else []))) as other:

        def seen() -> list[str]:
            other.say()
            return other.hear().split()

        assert seen() == ["0"]
        token = a_token(store)
        store.add(token)
        assert seen() == [str(store.changes()), f"desk:None:{token.digest.hex()}"]
        store.rotate(token, b"r" * 32)
        assert seen() == [str(store.changes()), f"desk:None:{(b'r' * 32).hex()}"]
        store.revoke(token, 7)
        assert seen() == [str(store.changes()), f"desk:7:{(b'r' * 32).hex()}"]
