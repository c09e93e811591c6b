"""A token in a file that changes, and what keeps it out of texts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.errors import StartError
from tickwire.machine import REAL
from tickwire.sources.relay import TokenFile
from tickwire.sources.relay.token_file import Secret


def test_it_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("  first\n")
    token = TokenFile(path, REAL.disk)
    assert (token(), token.changed()) == ("first", False)
    path.write_text("second-one\n")
    assert token() == "second-one"
    assert token.changed()
    assert not token.changed()
    path.write_text(" second-one ")
    assert not token.changed()


def test_a_file_that_takes_its_place_counts_too(tmp_path: Path) -> None:
    path, other = tmp_path / "token", tmp_path / "other"
    path.write_text("aaaa")
    token = TokenFile(path, REAL.disk)
    other.write_text("bbbb")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert token.changed()
    assert token() == "bbbb"


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"x" * 5000, b"\xff\xfe\x00", b"two words", b"two\nlines", None]
)
def test_without_a_token_nothing_starts(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError, match=r"No token in .*: ") as found:
        TokenFile(path, REAL.disk)
    assert "\n" not in str(found.value)
    assert "words" not in str(found.value)


@pytest.mark.parametrize("content", [b"", b"a b", None])
def test_under_way_the_last_good_one_stays_until_there_is_another(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "token"
    path.write_text("s3cret-token")
    token = TokenFile(path, REAL.disk)
    with capture_logs() as logs:
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        for _ in range(3):
            assert token() == "s3cret-token"
            assert not token.changed()
    assert [one["event"] for one in logs] == ["the old token is kept"]
    assert "s3cret" not in str(logs)
    path.write_text("good-again")
    assert token.changed()
    assert token() == "good-again"


def test_a_token_is_taken_out_of_texts_and_words_stay() -> None:
    secret = Secret(lambda: "s3/t")
    assert secret.plain("before the first use: s3/t") == "before the first use: s3/t"
    assert secret() == "s3/t"
    assert secret.plain("bad s3/t, bad ?token=s3%2Ft; s3/tail") == "bad …, bad ?token=…; s3/tail"


def test_a_token_that_fails_under_way_stays() -> None:
    given = iter(["good"])
    secret = Secret(lambda: next(given))
    with capture_logs() as logs:
        assert [secret(), secret()] == ["good", "good"]
        assert Secret(lambda: next(given))() == ""
    assert [one["reason"] for one in logs] == ["StopIteration"] * 2
