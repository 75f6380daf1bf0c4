"""How the scripts report: one line of JSON per check, whatever happens inside it."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

BASE = os.environ["BASE_URL"]
KEY = os.environ["API_KEY"]
LIMITED_KEY = os.environ.get("LIMITED_KEY", "")  # one request a minute
PACED_KEY = os.environ.get("PACED_KEY", "")  # one request a second
SPENT_KEY = os.environ["SPENT_KEY"]  # its budget is spent
SPENT_KEY_400 = os.environ.get("SPENT_KEY_400", "")  # the same, and says so with status 400
TEXT = os.environ.get("TEXT", "")  # what the simulated models answer
CALLS = int(os.environ.get("CALLS", "0"))  # of a check that makes many
ONLY = [name for name in os.environ.get("ONLY", "").split(",") if name]  # these checks, else all

_checks = []


class NotApplicable(Exception):
    """Raised by a check of something that the client does not have; says why."""


def check(name):
    """Registers a function as the check of that name."""

    def register(function):
        _checks.append((name, function))
        return function

    return register


def run_all():
    """Runs the checks in the order of their definition."""
    for name, function in _checks:
        if ONLY and name not in ONLY:
            continue
        report = {"name": name, "ok": True}
        try:
            report["detail"] = str(function() or "")
        except NotApplicable as reason:
            report["not_applicable"] = str(reason)
        except Exception as problem:  # the report is the place where failures are told
            report |= {"ok": False, "detail": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(report), flush=True)


def raises(kind, status, function, attribute="status_code"):
    """Runs what must raise exactly this class with this status; gives the exception."""
    try:
        function()
    except kind as problem:
        seen = getattr(problem, attribute, None)
        assert seen == status, f"status {seen}, wanted {status}: {problem}"
        return problem
    raise AssertionError(f"nothing was raised, wanted {kind.__name__}")


def dies(kind, pieces):
    """Reads the text of a stream that must raise this class after some of it."""
    seen = 0
    try:
        for piece in pieces:
            seen += len(piece or "")
    except kind as problem:
        positive(seen)
        return f"{type(problem).__name__} after {seen} characters"
    raise AssertionError(f"the stream ended after {seen} characters as if it were complete")


def together(functions):
    """Runs these, twelve at a time; raises what the first of them raised."""
    with ThreadPoolExecutor(12) as pool:
        for running in [pool.submit(function) for function in functions]:
            running.result()


def same(got, wanted):
    assert got == wanted, f"{got!r}, wanted {wanted!r}"


def positive(number):
    assert number > 0, f"{number!r} is not positive"
