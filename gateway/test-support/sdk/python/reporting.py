"""How the scripts report: one line of JSON per check, whatever happens inside it."""

import json
import os

BASE = os.environ["BASE_URL"]
KEY = os.environ["API_KEY"]
LIMITED_KEY = os.environ["LIMITED_KEY"]  # one request a minute
PACED_KEY = os.environ["PACED_KEY"]  # one request a second
SPENT_KEY = os.environ["SPENT_KEY"]  # its budget is spent
ONLY = [name for name in os.environ.get("ONLY", "").split(",") if name]  # these checks, else all

_checks = []


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
        try:
            ok, detail = True, str(function() or "")
        except Exception as problem:  # the report is the place where failures are told
            ok, detail = False, f"{type(problem).__name__}: {problem}"
        print(json.dumps({"name": name, "ok": ok, "detail": detail}), flush=True)


def raises(kind, status, function):
    """Runs what must raise exactly this class with this status; gives the exception."""
    try:
        function()
    except kind as problem:
        seen = getattr(problem, "status_code", None)
        assert seen == status, f"status {seen}, wanted {status}: {problem}"
        return problem
    raise AssertionError(f"nothing was raised, wanted {kind.__name__}")


def same(got, wanted):
    assert got == wanted, f"{got!r}, wanted {wanted!r}"


def positive(number):
    assert number > 0, f"{number!r} is not positive"
