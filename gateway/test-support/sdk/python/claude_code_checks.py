"""Claude Code, as shipped, in a home of its own: the model is a script that runs a command and tells what it
printed. Only the base URL and the key are set."""

import json
import os
import pathlib
import subprocess
import tempfile

from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, NotApplicable, check, run_all

PROGRAM = pathlib.Path(os.environ["AGENTS"], "node_modules", "@anthropic-ai", "claude-code", "cli-wrapper.cjs")


def claude(key=KEY, model="claude-agent"):
    """A session in a folder with a note: its exit code and its events."""
    with tempfile.TemporaryDirectory() as place:
        work = pathlib.Path(place, "work")
        work.mkdir()
        (work / "note.txt").write_text("The word is plover.\n")
        command = ["node", str(PROGRAM), "-p", "--verbose", "--output-format", "stream-json"]
        command += ["--allowedTools", "Bash(cat:*)", "--", "Read note.txt and tell me the word."]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": place,
            "NO_PROXY": "127.0.0.1",
            "ANTHROPIC_BASE_URL": BASE,
            "ANTHROPIC_AUTH_TOKEN": key,
            "ANTHROPIC_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
        }
        return subprocess.run(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )


def result(told):
    """The event that ends a session."""
    assert told.stdout, told.stderr
    last = json.loads(told.stdout.splitlines()[-1])
    assert last["type"] == "result", told.stdout
    return last


def fails(told):
    """The last words of a session that must fail."""
    last = result(told)
    assert told.returncode != 0 and last["is_error"], told.stdout
    return last["result"]


@check("chat")
def _():
    raise NotApplicable("speaks streams only")


@check("stream")
def _():
    last = result(claude())
    assert (last["is_error"], last["result"]) == (False, "The note says: The word is plover."), last


@check("tools")
def _():
    told = claude().stdout
    # What the command printed went back as the result of the tool that the model asked for.
    results = [line for line in told.splitlines() if '"tool_result"' in line]
    assert len(results) == 1 and "The word is plover." in results[0], told


@check("budget_spent")
def _():
    return fails(claude(SPENT_KEY))


@check("budget_spent_as_400")
def _():
    return fails(claude(SPENT_KEY_400))


@check("wrong_key")
def _():
    problem = fails(claude("no-such-key-at-all"))
    assert "API Error: 401" in problem, problem


@check("stream_dies")
def _():
    return fails(claude(model="claude-agent-dies"))


run_all()
