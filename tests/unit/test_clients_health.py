"""What an endpoint's past says of it, at times that the tests choose."""

from __future__ import annotations

from dataclasses import replace

from chainflow.clients._health import Health
from chainflow.clients._pace import DEFAULT
from chainflow.errors import MalformedAnswer, NodeUnavailable, NotYet

LIMITS = replace(
    DEFAULT,
    rest_seconds=2.0,
    rest_max_seconds=10.0,
    failures_in_a_row=3,
    distrust_seconds=100.0,
    distrust_max_seconds=300.0,
)
DOWN, ODD = NodeUnavailable("HTTP 503"), MalformedAnswer("odd")


def test_rests_double_up_to_a_bound_and_end_with_an_answer() -> None:
    """2, 4, 8, then 10 seconds; one answer and all is forgotten."""
    health = Health(LIMITS)
    for at, rest in ((0.0, 2.0), (20.0, 4.0), (40.0, 8.0), (60.0, 10.0), (80.0, 10.0)):
        health.ill(DOWN, at, at)
        assert health.rests(at + rest - 0.1)
        assert not health.rests(at + rest)
    health.well(0.5)
    assert not health.rests(80.0)
    assert (health.failures, health.failed, health.answered) == (0, 5, 1)


def test_circuit_breaks_after_failures_in_a_row_until_the_rest_is_over() -> None:
    """Fewer only put it behind the others."""
    health = Health(LIMITS)
    for at in (0.0, 10.0):
        health.ill(DOWN, at, at)
        assert not health.broken(at)
    health.ill(DOWN, 20.0, 20.0)
    assert health.broken(27.9)
    assert not health.broken(28.0)


def test_a_trial_under_way_keeps_others_away() -> None:
    """Whoever tries it first lets it rest again, until the trial ends."""
    health = Health(LIMITS)
    health.ill(DOWN, 0.0, 0.0)
    health.rest(5.0)
    assert health.rests(6.9)
    assert health.failures == 1


def test_failures_of_one_cause_count_once_in_a_row() -> None:
    """Questions that were open together fail together; all of them are failures."""
    health = Health(LIMITS)
    for _ in range(5):
        health.ill(DOWN, 0.0, 1.0)
    assert (health.failures, health.failed) == (1, 5)


def test_what_is_no_fault_puts_it_behind_nobody() -> None:
    """A height that is not there yet is told, and changes no order."""
    health = Health(LIMITS)
    health.ill(NotYet("null"), 0.0, 0.0)
    assert (health.failures, health.failed) == (0, 1)
    assert not health.rests(0.0)


def test_a_contradiction_is_held_against_it_whatever_it_answers_since() -> None:
    """Longer than any rest, and twice as long the next time, up to a bound."""
    health = Health(LIMITS)
    for at, until in ((0.0, 100.0), (1000.0, 1200.0), (2000.0, 2300.0), (3000.0, 3300.0)):
        health.ill(ODD, at, at)
        health.ill(ODD, at + 1, at + 1)
        health.well(0.1)
        assert health.distrusted(until - 0.1)
        assert not health.distrusted(until)


def test_slow_is_several_times_what_is_typical_and_never_less_than_the_least() -> None:
    """What was answered last weighs a fifth."""
    health = Health(LIMITS)
    assert health.slow_seconds() == LIMITS.hedge_seconds
    health.well(1.0)
    assert health.slow_seconds() == 3.0
    health.well(6.0)
    assert health.slow_seconds() == 6.0
    assert health.seconds == 2.0
