"""Requests to stop: the first signal asks, the second interrupts; time does as well."""

import os
import signal

import pytest

from foraging_snn.running import stopping
from foraging_snn.running.stopping import StopCause, StopRequest

CAUSES = [(signal.SIGINT, StopCause.CTRL_C), (signal.SIGTERM, StopCause.TERMINATED), (signal.SIGHUP, StopCause.HUNG_UP)]


@pytest.mark.parametrize(("number", "cause"), CAUSES)
def test_a_signal_is_a_request(number, cause, monkeypatch):
    monkeypatch.setattr(stopping, "_leave_terminal", lambda: None)  # that of the tests
    request, before = StopRequest(), signal.getsignal(number)
    signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored
    try:
        with request.listening():
            assert not request.is_wanted()
            os.kill(os.getpid(), number)
            assert request.is_wanted()
        assert request.cause is cause
        assert cause.exit_code == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_second_ctrl_c_interrupts_at_once():
    request = StopRequest()
    with request.listening(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # those who manage processes are not impatient
        os.kill(os.getpid(), signal.SIGINT)
    assert request.cause is StopCause.TERMINATED


def test_a_run_under_nohup_goes_on():
    request, before = StopRequest(), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with request.listening():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not request.is_wanted()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_those_who_listen_are_called():
    calls = []
    with StopRequest().listening(lambda: calls.append("asked"), lambda: calls.append("at once")), pytest.raises(KeyboardInterrupt):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
    assert calls == ["asked", "at once"]


def test_time_that_is_over_is_a_request(monkeypatch):
    now = 100.0
    monkeypatch.setattr("foraging_snn.running.stopping.time.monotonic", lambda: now)
    request, endless = StopRequest(max_hours=0.5), StopRequest()
    now += 1799.0
    assert not request.is_wanted()
    now += 1.0
    assert request.is_wanted()
    assert request.cause is StopCause.TIME_IS_OVER
    assert StopCause.TIME_IS_OVER.exit_code == 3
    assert not endless.is_wanted()
