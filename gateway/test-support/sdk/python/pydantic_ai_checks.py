"""Pydantic AI with OpenAI's chat models, as shipped: only the base URL and the key are set."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, TEXT, check, positive, raises, run_all, same


def agent(key=KEY, name="gpt-5-mini"):
    return Agent(OpenAIChatModel(name, provider=OpenAIProvider(base_url=f"{BASE}/v1", api_key=key)))


async def read(name, pieces):
    """Puts the text of a stream into a list, which keeps what came before a failure."""
    async with agent(name=name).run_stream("Say hello.") as answer:
        async for piece in answer.stream_text(delta=True, debounce_by=None):
            pieces.append(piece)


@check("chat")
def _():
    answer = agent().run_sync("Say hello.")
    same(answer.output, TEXT)
    positive(answer.usage.output_tokens)


@check("stream")
def _():
    pieces = []
    asyncio.run(read("gpt-5-mini", pieces))
    same("".join(pieces), TEXT)


@check("tools")
def _():
    asked = []
    able = agent()

    @able.tool_plain
    def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "Rain, 4 degrees."

    same(able.run_sync("What is the weather in Oslo? use a tool").output, TEXT)
    same(asked, ["Paris"])


@check("budget_spent")
def _():
    return raises(ModelHTTPError, 429, lambda: agent(SPENT_KEY).run_sync("Say hello."))


@check("budget_spent_as_400")
def _():
    return raises(ModelHTTPError, 400, lambda: agent(SPENT_KEY_400).run_sync("Say hello."))


@check("wrong_key")
def _():
    raises(ModelHTTPError, 401, lambda: agent("no-such-key-at-all").run_sync("Say hello."))


@check("stream_dies")
def _():
    pieces = []
    try:
        asyncio.run(read("gpt-dies", pieces))
    except ModelAPIError as problem:
        positive(len(pieces))
        return type(problem).__name__
    raise AssertionError("the stream ended as if it were complete")


run_all()
