"""Both URL forms of Azure OpenAI with OpenAI's SDK, as shipped; `URL_FORM` says which one."""

import json
import os

import openai

from asked import HELLO, WEATHER
from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, TEXT, check, dies, positive, raises, run_all, same

MODEL = "azure-gpt-5-mini"


def client(key=KEY):
    if os.environ["URL_FORM"] == "v1":
        return openai.OpenAI(base_url=f"{BASE}/openai/v1/", api_key=key)
    return openai.AzureOpenAI(azure_endpoint=BASE, api_version="2024-12-01-preview", api_key=key)


def create(key=KEY, model=MODEL, messages=HELLO, **options):
    return client(key).chat.completions.create(model=model, messages=messages, **options)


def pieces(stream):
    """The text of a stream: Azure's own first chunk, which tells what its filters say, has no choice."""
    return (chunk.choices[0].delta.content for chunk in stream if chunk.choices)


@check("chat")
def _():
    answer = create()
    same(answer.choices[0].message.content, TEXT)
    positive(answer.usage.prompt_tokens)


@check("stream")
def _():
    same("".join(piece or "" for piece in pieces(create(stream=True))), TEXT)


@check("tools")
def _():
    messages = [{"role": "user", "content": "What is the weather in Oslo? use a tool"}]
    message = create(messages=messages, tools=[WEATHER]).choices[0].message
    call = message.tool_calls[0]
    same((call.function.name, json.loads(call.function.arguments)), ("weather", {"city": "Paris"}))
    messages.append(message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "Rain, 4 degrees."})
    same(create(messages=messages, tools=[WEATHER]).choices[0].message.content, TEXT)


@check("budget_spent")
def _():
    return raises(openai.RateLimitError, 429, lambda: create(SPENT_KEY))


@check("budget_spent_as_400")
def _():
    return raises(openai.BadRequestError, 400, lambda: create(SPENT_KEY_400))


@check("wrong_key")
def _():
    raises(openai.AuthenticationError, 401, lambda: create("no-such-key-at-all"))


@check("stream_dies")
def _():
    return dies(openai.APIError, pieces(create(model="azure-dies", stream=True)))


run_all()
