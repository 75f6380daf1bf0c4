"""LiteLLM as a client, as shipped: only the base URL and the key are set."""

import json

import litellm
import openai

from asked import HELLO, WEATHER
from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, TEXT, check, dies, positive, raises, run_all, same

litellm.suppress_debug_info = True  # it would be printed among our reports


def complete(key=KEY, model="gpt-5-mini", messages=HELLO, **options):
    return litellm.completion(
        model=f"openai/{model}", api_base=f"{BASE}/v1", api_key=key, messages=messages, **options
    )


def pieces(stream):
    return (chunk.choices[0].delta.content for chunk in stream)


@check("chat")
def _():
    answer = complete()
    same(answer.choices[0].message.content, TEXT)
    positive(answer.usage.completion_tokens)


@check("stream")
def _():
    same("".join(piece or "" for piece in pieces(complete(stream=True))), TEXT)


@check("tools")
def _():
    messages = [{"role": "user", "content": "What is the weather in Oslo? use a tool"}]
    message = complete(messages=messages, tools=[WEATHER]).choices[0].message
    call = message.tool_calls[0]
    same((call.function.name, json.loads(call.function.arguments)), ("weather", {"city": "Paris"}))
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "Rain, 4 degrees."}]
    same(complete(messages=messages, tools=[WEATHER]).choices[0].message.content, TEXT)


@check("budget_spent")
def _():
    return raises(litellm.RateLimitError, 429, lambda: complete(SPENT_KEY))


@check("budget_spent_as_400")
def _():
    return raises(litellm.BadRequestError, 400, lambda: complete(SPENT_KEY_400))


@check("wrong_key")
def _():
    raises(litellm.AuthenticationError, 401, lambda: complete("no-such-key-at-all"))


@check("stream_dies")
def _():
    # Every exception of LiteLLM is one of OpenAI's too.
    return dies(openai.APIError, pieces(complete(model="gpt-dies", stream=True)))


run_all()
