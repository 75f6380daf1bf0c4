"""Calls until the hard budget of a key refuses, so that what comes after meets an empty one."""

import json
import os
import ssl
import urllib.error
import urllib.request

from reporting import BASE, SPENT_KEY, check, run_all, same

CA_FILE = os.environ.get("CA_FILE")


@check("spent")
def _():
    context = ssl.create_default_context(cafile=CA_FILE) if CA_FILE else None
    body = json.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    headers = {"Authorization": f"Bearer {SPENT_KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{BASE}/v1/chat/completions", body, headers)
    for calls in range(200):
        try:
            urllib.request.urlopen(request, context=context).close()
        except urllib.error.HTTPError as problem:
            same((problem.code, problem.headers["x-tollgate-error"]), (429, "budget_exceeded"))
            return f"after {calls} calls"
    raise AssertionError("200 calls did not spend the budget")


run_all()
