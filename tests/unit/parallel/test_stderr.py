"""What workers leave on their standard error while nobody reads ours."""

from __future__ import annotations

from theus.parallel.stderr import StderrRest


def test_no_more_is_kept_than_sixteen_pipes_hold():
    rest = StderrRest()
    for _ in range(300):
        rest.add(b"x" * 4096)
    assert rest.lost == 300 * 4096 - (1 << 20)


def test_what_fits_is_passed_on_in_order(capfd):
    rest = StderrRest()
    for piece in (b"one ", b"two ", b"three"):
        rest.add(piece)
    assert rest
    rest.pass_on(patience=10)
    assert not rest
    assert rest.lost == 0
    assert capfd.readouterr().err == "one two three"
