"""The program `curl` with the options that people type; over TLS, and so HTTP/2, where there is a `CA_FILE`."""

import json
import os
import subprocess

from asked import HELLO, WEATHER
from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, TEXT, check, positive, run_all, same

CA_FILE = os.environ.get("CA_FILE")


def curl(*options, key=KEY, model="gpt-5-mini", messages=HELLO, **members):
    """What curl prints for a chat; `-i` puts the head before the body."""
    body = json.dumps({"model": model, "messages": messages, **members})
    command = ["curl", "-sS", *options, f"{BASE}/v1/chat/completions"]
    command += ["--cacert", CA_FILE] if CA_FILE else []
    command += ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json", "-d", body]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def answer(**members):
    return json.loads(curl(**members))["choices"][0]


def events(told):
    """The data of a stream's events, the mark of its end included."""
    lines = told.splitlines()
    assert all(not line or line.startswith("data: ") for line in lines), told
    return [line.removeprefix("data: ") for line in lines if line]


def text_of(chunks):
    return "".join(json.loads(chunk)["choices"][0]["delta"].get("content") or "" for chunk in chunks)


def refusal(key, status, code):
    """A refusal as `curl -i` shows it: the status, what is to be known in the head, one line of JSON."""
    told = curl("-i", key=key)
    head, _, body = told.partition("\n\n")  # `text=True` has made one kind of line end of all
    assert head.startswith(f"HTTP/{2 if CA_FILE else 1.1} {status}"), head
    assert f"x-tollgate-error: {code}" in head and "x-request-id: " in head, head
    assert body.endswith("}\n"), "no end of line after the body"
    same(json.loads(body)["error"]["code"], code)
    return told


@check("chat")
def _():
    same(answer()["message"]["content"], TEXT)


@check("stream")
def _():
    *chunks, end = events(curl("-N", stream=True))
    same((text_of(chunks), end), (TEXT, "[DONE]"))


@check("tools")
def _():
    messages = [{"role": "user", "content": "What is the weather in Oslo? use a tool"}]
    message = answer(messages=messages, tools=[WEATHER])["message"]
    call = message["tool_calls"][0]
    same((call["function"]["name"], json.loads(call["function"]["arguments"])), ("weather", {"city": "Paris"}))
    messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": "Rain, 4 degrees."}]
    same(answer(messages=messages, tools=[WEATHER])["message"]["content"], TEXT)


@check("budget_spent")
def _():
    return refusal(SPENT_KEY, 429, "budget_exceeded")


@check("budget_spent_as_400")
def _():
    return refusal(SPENT_KEY_400, 400, "budget_exceeded")


@check("wrong_key")
def _():
    return refusal("no-such-key-at-all", 401, "invalid_api_key")


@check("stream_dies")
def _():
    # What curl can show of it: the last words are an error, and no mark says that the stream is complete.
    *chunks, last = events(curl("-N", model="gpt-dies", stream=True))
    positive(len(text_of(chunks)))
    return json.loads(last)["error"]["message"]


run_all()
