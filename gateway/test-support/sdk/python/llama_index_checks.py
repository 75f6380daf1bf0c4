"""LlamaIndex's `OpenAILike`, as shipped: only the base URL and the key are set, and what it asks to know
of a model whose name is not in its own table."""

import openai
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, TEXT, check, dies, raises, run_all, same

HELLO = [ChatMessage("Say hello.")]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}, 4 degrees."


def model(key=KEY, name="gpt-5-mini"):
    return OpenAILike(
        model=name,
        api_base=f"{BASE}/v1",
        api_key=key,
        context_window=128_000,
        is_chat_model=True,
        is_function_calling_model=True,
    )


@check("chat")
def _():
    same(model().chat(HELLO).message.content, TEXT)


@check("stream")
def _():
    same("".join(chunk.delta for chunk in model().stream_chat(HELLO)), TEXT)


@check("tools")
def _():
    tools = [FunctionTool.from_defaults(weather)]
    question = ChatMessage("What is the weather in Oslo? use a tool")
    answer = model().chat_with_tools(tools, chat_history=[question])
    call = model().get_tool_calls_from_response(answer)[0]
    same((call.tool_name, call.tool_kwargs), ("weather", {"city": "Paris"}))
    extra = {"tool_call_id": call.tool_id}
    result = ChatMessage(weather(**call.tool_kwargs), role=MessageRole.TOOL, additional_kwargs=extra)
    history = [question, answer.message, result]
    same(model().chat_with_tools(tools, chat_history=history).message.content, TEXT)


@check("budget_spent")
def _():
    return raises(openai.RateLimitError, 429, lambda: model(SPENT_KEY).chat(HELLO))


@check("budget_spent_as_400")
def _():
    return raises(openai.BadRequestError, 400, lambda: model(SPENT_KEY_400).chat(HELLO))


@check("wrong_key")
def _():
    raises(openai.AuthenticationError, 401, lambda: model("no-such-key-at-all").chat(HELLO))


@check("stream_dies")
def _():
    return dies(openai.APIError, (chunk.delta for chunk in model(name="gpt-dies").stream_chat(HELLO)))


run_all()
