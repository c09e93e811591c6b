"""Tokens at rest: rows of the database, and the key of their hashes in a file beside it."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ..access import KEY_SIZE, Token
from ..errors import InputError, StartError, StoreError
from ..machine import Damaged, Disk
from .file import Connection, File
from .rows import NOTE, TOKEN, Altered, fetch, sealed

KEY_FILE = "token.key"
CHANGES = "tokens"
"""The note that counts the changes, of no source."""
ONE = f"SELECT {TOKEN.all} FROM token WHERE id = ?1"  # noqa: S608
NOTED = f"SELECT {NOTE.all} FROM note WHERE source = '' AND name = ?1"  # noqa: S608
ALL = f"SELECT {TOKEN.all} FROM token ORDER BY created, id"  # noqa: S608
FINGERPRINT = "token.key"
"""The note that says which key the tokens were made with, of no source."""
_REMEDY = "Put the right one back from a backup, or choose another --data-dir and create new tokens."


class TokenStore:
    """The tokens of a data directory. What one process changes another sees, by `changes`.

    A token is revoked, never removed: a server that had tokens never opens to everybody again. Methods may
    be called from any thread, and raise StoreError if the store cannot be used.
    """

    def __init__(self, file: File, key_path: Path) -> None:
        """Raises StartError if no key fits the tokens, and StoreError if the file cannot be read."""
        self._file = file
        self._altered = Altered(file.name)
        self._key_path = key_path
        self._key = b""  # once read, a file that is damaged later does no harm
        if self.tokens():
            if not os.path.lexists(key_path):
                raise StartError(f"{key_path} is missing, the key that tokens are checked with. {_REMEDY}")
            self.key()

    def key(self) -> bytes:
        """The key of the hashes, made at the first use. Raises StartError if it cannot be read or made."""
        if self._key:
            return self._key
        path = self._key_path
        try:
            if not path.exists():
                fresh = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
                fresh.touch(mode=0o600)
                fresh.write_bytes(secrets.token_bytes(KEY_SIZE))
                try:
                    os.link(fresh, path)  # whoever is first wins, and nobody sees half a key
                except FileExistsError:
                    pass
                finally:
                    fresh.unlink()
            key = Disk().read(path)
        except (OSError, Damaged) as error:
            reason = getattr(error, "strerror", None) or error
            raise StartError(f"Cannot use the key of the tokens, {path}: {reason}.") from error
        if len(key) != KEY_SIZE:
            raise StartError(f"{path} holds no key of {KEY_SIZE} bytes. {_REMEDY}")
        self._note_key(hashlib.blake2b(key, digest_size=16, person=b"fingerprint").hexdigest())
        self._key = key
        return key

    def _note_key(self, fingerprint: str) -> None:
        """Keeps by what a key is known; raises StartError if there are tokens that were made with another."""
        with self._file.reading() as connection:
            noted = self._noted(connection, FINGERPRINT)
        if noted == fingerprint:
            return
        if noted is not None and self.tokens():
            raise StartError(
                f"{self._key_path} is not the key that the tokens were made with: it was damaged, or comes "
                f"from another directory. {_REMEDY}"
            )
        # Of an older version, or of a directory without tokens. What cannot be written now will be later.
        with suppress(StoreError), self._file.writing() as connection:
            connection.execute(NOTE.put, sealed(("", FINGERPRINT, fingerprint)))

    def guarded(self) -> bool:
        """Whether tokens are checked: some exist, or did, since the key is only made with the first one. So a
        database that was lost opens nothing."""
        return bool(self.tokens()) or os.path.lexists(self._key_path)

    def changes(self) -> int:
        """A number that grows whenever tokens change."""
        with self._file.reading() as connection:
            return self._changes(connection)

    def tokens(self) -> list[Token]:
        """All of them, the oldest first; revoked and expired ones too.

        One that cannot be read counts as revoked, so that it opens nothing, and is still there.
        """
        with self._file.reading() as connection:
            rows = fetch(connection, ALL)
        found = []
        for row in rows:
            try:
                (whole,) = self._altered.sift(TOKEN, [row])
                found.append(_token(whole))
            except ValueError:
                self._altered.tell(TOKEN, row[:-1])
                found.append(_unreadable(row))
        return found

    def find(self, name_or_id: str) -> Token:
        """The token of that name or id. Raises InputError if there is none."""
        for token in self.tokens():
            if name_or_id in (token.name, token.id):
                return token
        raise InputError(f"There is no token {name_or_id!r}. `tickwire token list` shows which there are.")

    def add(self, token: Token) -> None:
        """Keeps a new token. Raises InputError if there is one of its name."""
        row = msgspec.structs.asdict(token)
        row |= {name: msgspec.json.encode(sorted(row[name])).decode() for name in ("markets", "codes")}
        row |= {name: int(row[name]) for name in ("admin", "publish")}
        with self._file.writing() as connection:
            if not connection.execute(TOKEN.add, sealed(row[name] for name in TOKEN.columns)).rowcount:
                raise InputError(
                    f"There is a token {token.name!r} already. Choose another --name, or rotate that one."
                )
            self._count(connection)
        self._file.checkpoint()

    def revoke(self, token: Token, now: int) -> None:
        """The token counts no more; `now` is in milliseconds since the epoch."""
        self._change(token, "revoked", now, once=True)

    def rotate(self, token: Token, digest: bytes) -> None:
        """Gives a token another text; the old one counts no more."""
        self._change(token, "digest", digest)

    def _change(self, token: Token, column: str, value: object, *, once: bool = False) -> None:
        """`once` leaves a value that is there."""
        place = TOKEN.columns.index(column)
        with self._file.writing() as connection:
            for row in self._altered.sift(TOKEN, fetch(connection, ONE, (token.id,))):
                row[place] = row[place] if once and row[place] is not None else value
                connection.execute(TOKEN.update(column), (row[place], sealed(row)[-1], token.id))
            self._count(connection)
        self._file.checkpoint()  # a log that is lost must not bring a revoked one back

    def _noted(self, connection: Connection, name: str) -> str | None:
        """A note of no source; None if there is none that is as it was written."""
        for *_, value in self._altered.sift(NOTE, fetch(connection, NOTED, (name,))):
            return str(value)
        return None

    def _changes(self, connection: Connection) -> int:
        noted = self._noted(connection, CHANGES) or ""
        return int(noted) if noted.isdecimal() else 0

    def _count(self, connection: Connection) -> None:
        """Counts a change. A count that was lost begins anew at the time, which no count has come to."""
        count = self._changes(connection)
        lost = not count and connection.execute("SELECT 1 FROM token LIMIT 1 OFFSET 1").fetchall()
        value = str(int(time.time()) if lost else count + 1)
        connection.execute(NOTE.put, sealed(("", CHANGES, value)))


def _token(row: Sequence[Any]) -> Token:
    fields = dict(zip(TOKEN.columns, row, strict=True))
    fields |= {name: msgspec.json.decode(fields[name]) for name in ("markets", "codes")}
    fields |= {name: bool(fields[name]) for name in ("admin", "publish")}
    return msgspec.convert(fields, Token)


def _unreadable(row: Sequence[Any]) -> Token:
    """What stands for a token that cannot be read: nothing opens it."""
    number = ascii(row[0])[1:-1][:16]
    return Token(
        id=number, digest=secrets.token_bytes(32), name=f"unreadable {number}", plan="free", revoked=1
    )
