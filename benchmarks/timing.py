"""What the tables' peers share."""

import time


class Missing(Exception):
    """A program, or something that it lacks for a row: its text says what."""


def best_time(call, duration=0.4):
    call()
    best, end = float("inf"), time.perf_counter() + duration
    while (began := time.perf_counter()) < end:
        call()
        best = min(best, time.perf_counter() - began)
    return best
