"""Codex CLI, as shipped, in a home of its own: the model is a script that runs a command and tells what it
printed. Only the provider's base URL and key are set."""

import json
import os
import pathlib
import subprocess
import tempfile

from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, NotApplicable, check, run_all

PROGRAM = pathlib.Path(os.environ["AGENTS"], "node_modules", "@openai", "codex", "bin", "codex.js")
SETTINGS = f"""
model_provider = "tollgate"
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
plugins = false
[model_providers.tollgate]
name = "Tollgate"
base_url = "{BASE}/v1"
env_key = "TOLLGATE_KEY"
wire_api = "responses"
"""


def codex(key=KEY, model="gpt-agent"):
    """A session in a folder with a note: its exit code, its events, and what it complains about."""
    with tempfile.TemporaryDirectory() as place:
        home, work = pathlib.Path(place, "home"), pathlib.Path(place, "work")
        home.mkdir()
        work.mkdir()
        (home / "config.toml").write_text(SETTINGS)
        (work / "note.txt").write_text("The word is plover.\n")
        # The model is ours and runs `cat`: no sandbox is needed, and not every machine can make one.
        command = ["node", str(PROGRAM), "exec", "--json", "--skip-git-repo-check", "-m", model]
        command += ["--sandbox", "danger-full-access", "Read note.txt and tell me the word."]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "TOLLGATE_KEY": key}
        environment["NO_PROXY"] = "127.0.0.1"
        return subprocess.run(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )


def fails(told):
    """The last words of a session that must fail."""
    assert told.returncode != 0, told.stdout
    events = [json.loads(line) for line in told.stdout.splitlines()]
    failed = [event["error"]["message"] for event in events if event["type"] == "turn.failed"]
    assert len(failed) == 1, told.stdout
    return failed[0]


@check("chat")
def _():
    raise NotApplicable("speaks streams only")


@check("stream")
def _():
    told = codex()
    assert told.returncode == 0, told.stdout + told.stderr
    items = [json.loads(line).get("item", {}) for line in told.stdout.splitlines()]
    said = [item["text"] for item in items if item.get("type") == "agent_message"]
    assert said == ["The note says: The word is plover."], told.stdout


@check("tools")
def _():
    told = codex()
    ran = [json.loads(line).get("item", {}) for line in told.stdout.splitlines()]
    ran = [item for item in ran if item.get("type") == "command_execution" and item["status"] == "completed"]
    assert len(ran) == 1 and ran[0]["aggregated_output"] == "The word is plover.\n", told.stdout


@check("budget_spent")
def _():
    return fails(codex(SPENT_KEY))


@check("budget_spent_as_400")
def _():
    return fails(codex(SPENT_KEY_400))


@check("wrong_key")
def _():
    problem = fails(codex("no-such-key-at-all"))
    assert "401 Unauthorized" in problem, problem


@check("stream_dies")
def _():
    return fails(codex(model="gpt-agent-dies"))


run_all()
