"""Requests to stop: the first signal asks, the second interrupts; time does as well."""

import os
import signal

import pytest

from foraging_snn.stopping import StopCause, StopRequest


@pytest.mark.parametrize(("number", "cause"), [(signal.SIGINT, StopCause.CTRL_C), (signal.SIGTERM, StopCause.TERMINATED)])
def test_a_signal_is_a_request(number, cause):
    request, before = StopRequest(), signal.getsignal(number)
    with request.listening():
        assert not request.is_wanted()
        os.kill(os.getpid(), number)
        assert request.is_wanted()
    assert request.cause is cause
    assert cause.exit_code == 128 + number
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_interrupts_at_once():
    request = StopRequest()
    with request.listening(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # those who manage processes are not impatient
        os.kill(os.getpid(), signal.SIGINT)
    assert request.cause is StopCause.TERMINATED


def test_time_that_is_over_is_a_request(monkeypatch):
    now = 100.0
    monkeypatch.setattr("foraging_snn.stopping.time.monotonic", lambda: now)
    request, endless = StopRequest(max_hours=0.5), StopRequest()
    now += 1799.0
    assert not request.is_wanted()
    now += 1.0
    assert request.is_wanted()
    assert request.cause is StopCause.TIME_IS_OVER
    assert StopCause.TIME_IS_OVER.exit_code == 3
    assert not endless.is_wanted()
