"""Tokens at rest: rows of the SQLite file, and the key of their hashes in a file beside it."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from ..access import KEY_SIZE, Token
from ..errors import InputError, StartError
from ..model import Market
from .sqlite_file import SqliteFile

KEY_FILE = "token.key"
COLUMNS = "id, digest, name, plan, markets, codes, admin, publish, created, expires, revoked"
CHANGES = "tokens"
"""The note that counts the changes, of no source."""
COUNT = f"""
    INSERT INTO note VALUES ('', '{CHANGES}', '1')
    ON CONFLICT DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
"""  # noqa: S608


class TokenStore:
    """The tokens of a data directory. What one process changes another sees, by `changes`.

    A token is revoked, never removed: a server that had tokens never opens to everybody again. Methods may
    be called from any thread, and raise StoreError if the store cannot be used.
    """

    def __init__(self, file: SqliteFile, key_path: Path) -> None:
        """Raises StartError if there are tokens but no key, and StoreError if the file cannot be read."""
        self._file = file
        self._key_path = key_path
        self._key = b""  # once read, a file that is damaged later does no harm
        if self.tokens() and not self._key_path.exists():
            raise StartError(
                f"{self._key_path} is missing, the key that tokens are checked with. Put it back, "
                f"or choose another --data-dir and create new tokens."
            )

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
            key = path.read_bytes()
        except OSError as error:
            raise StartError(f"Cannot use the key of the tokens, {path}: {error.strerror}.") from error
        if len(key) != KEY_SIZE:
            raise StartError(f"{path} holds no key of {KEY_SIZE} bytes. Put the right one back.")
        self._key = key
        return key

    def changes(self) -> int:
        """A number that grows whenever tokens change."""
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT value FROM note WHERE source = '' AND name = ?", (CHANGES,)
            ).fetchone()
        return int(row[0]) if row else 0

    def tokens(self) -> list[Token]:
        """All of them, the oldest first; revoked and expired ones too."""
        with self._file.reading() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM token ORDER BY created, id"  # noqa: S608
            ).fetchall()
        return [_token(row) for row in rows]

    def find(self, name_or_id: str) -> Token:
        """The token of that name or id. Raises InputError if there is none."""
        for token in self.tokens():
            if name_or_id in (token.name, token.id):
                return token
        raise InputError(f"There is no token {name_or_id!r}. `tickwire token list` shows which there are.")

    def add(self, token: Token) -> None:
        """Keeps a new token. Raises InputError if there is one of its name."""
        row = (
            token.id,
            token.digest,
            token.name,
            token.plan,
            _text(token.markets),
            _text(token.codes),
            token.admin,
            token.publish,
            token.created,
            token.expires,
            token.revoked,
        )
        with self._file.writing() as connection:
            try:
                connection.execute(f"INSERT INTO token ({COLUMNS}) VALUES (?{', ?' * 10})", row)  # noqa: S608
            except sqlite3.IntegrityError:
                raise InputError(
                    f"There is a token {token.name!r} already. Choose another --name, or rotate that one."
                ) from None
            connection.execute(COUNT)

    def revoke(self, token: Token, now: int) -> None:
        """The token counts no more; `now` is in milliseconds since the epoch."""
        self._change("UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, token.id))

    def rotate(self, token: Token, digest: bytes) -> None:
        """Gives a token another text; the old one counts no more."""
        self._change("UPDATE token SET digest = ? WHERE id = ?", (digest, token.id))

    def _change(self, statement: str, values: tuple[object, ...]) -> None:
        with self._file.writing() as connection:
            connection.execute(statement, values)
            connection.execute(COUNT)


@contextmanager
def open_tokens(database: Path) -> Iterator[TokenStore]:
    """The tokens of a database by themselves, their key beside it. Raises StartError if it cannot be used."""
    with closing(SqliteFile(database)) as file:
        yield TokenStore(file, database.with_name(KEY_FILE))


def _text(names: frozenset[str]) -> str:
    return msgspec.json.encode(sorted(names)).decode()


def _token(row: tuple[object, ...]) -> Token:
    fields = dict(zip(COLUMNS.split(", "), row, strict=True))
    fields["markets"] = frozenset(Market(name) for name in msgspec.json.decode(str(fields["markets"])))
    fields["codes"] = frozenset(msgspec.json.decode(str(fields["codes"])))
    fields |= {name: bool(fields[name]) for name in ("admin", "publish")}
    return Token(**fields)  # type: ignore[arg-type]
