"""LangChain's `ChatOpenAI`, as shipped: only the base URL and the key are set."""

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, TEXT, check, dies, positive, raises, run_all, same


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}, 4 degrees."


def model(key=KEY, name="gpt-5-mini"):
    return ChatOpenAI(model=name, base_url=f"{BASE}/v1", api_key=key)


@check("chat")
def _():
    answer = model().invoke("Say hello.")
    same(answer.content, TEXT)
    positive(answer.usage_metadata["output_tokens"])


@check("stream")
def _():
    same("".join(chunk.content for chunk in model().stream("Say hello.")), TEXT)


@check("tools")
def _():
    able = model().bind_tools([weather])
    messages = [HumanMessage("What is the weather in Oslo? use a tool")]
    answer = able.invoke(messages)
    call = answer.tool_calls[0]
    same((call["name"], call["args"]), ("weather", {"city": "Paris"}))
    messages += [answer, ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])]
    same(able.invoke(messages).content, TEXT)


@check("budget_spent")
def _():
    return raises(openai.RateLimitError, 429, lambda: model(SPENT_KEY).invoke("Say hello."))


@check("budget_spent_as_400")
def _():
    return raises(openai.BadRequestError, 400, lambda: model(SPENT_KEY_400).invoke("Say hello."))


@check("wrong_key")
def _():
    raises(openai.AuthenticationError, 401, lambda: model("no-such-key-at-all").invoke("Say hello."))


@check("stream_dies")
def _():
    return dies(openai.APIError, (chunk.content for chunk in model(name="gpt-dies").stream("Say hello.")))


run_all()
