"""A token is kept out of texts."""

from __future__ import annotations

from structlog.testing import capture_logs

from tickwire.sources.relay.secret import Secret


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
