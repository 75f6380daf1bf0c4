"""The OpenAI SDK, as shipped, against a gateway: only the base URL and the key are set."""

import json

import openai

from asked import HELLO, WEATHER
from reporting import (
    BASE,
    CALLS,
    KEY,
    LIMITED_KEY,
    PACED_KEY,
    SPENT_KEY,
    SPENT_KEY_400,
    check,
    positive,
    raises,
    run_all,
    same,
    together,
)


def client(key=KEY, **options):
    return openai.OpenAI(base_url=f"{BASE}/v1", api_key=key, **{"max_retries": 0, **options})


def azure(**options):
    return openai.AzureOpenAI(
        azure_endpoint=BASE, api_version="2024-12-01-preview", api_key=KEY, max_retries=0, **options
    )


def text_of(stream):
    """The text of a chat stream, whose every chunk must have a choice to look into."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


@check("models")
def _():
    names = {model.id for model in client().models.list()}
    assert {"gpt-5-mini", "claude-sonnet-4-6"} <= names, names
    same(client().models.retrieve("gpt-5-mini").id, "gpt-5-mini")


@check("chat")
def _():
    answer = client().chat.completions.create(model="gpt-5-mini", messages=HELLO)
    assert answer.choices[0].message.content, answer
    positive(answer.usage.prompt_tokens)
    positive(answer.usage.completion_tokens)


@check("request_id")
def _():
    raw = client().chat.completions.with_raw_response.create(model="gpt-5-mini", messages=HELLO)
    request_id = raw.headers["x-request-id"]
    assert raw.headers["x-tollgate-upstream"] == "openai-east", dict(raw.headers)
    same(raw.parse()._request_id, request_id)


@check("trailing_slash")
def _():
    slash = openai.OpenAI(base_url=f"{BASE}/v1/", api_key=KEY, max_retries=0)
    assert slash.chat.completions.create(model="gpt-5-mini", messages=HELLO).choices[0].message.content


@check("stream")
def _():
    assert text_of(client().chat.completions.create(model="gpt-5-mini", messages=HELLO, stream=True))


@check("stream_with_usage")
def _():
    stream = client().chat.completions.create(
        model="gpt-5-mini", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    same(chunks[-1].choices, [])
    positive(chunks[-1].usage.completion_tokens)


@check("tools")
def _():
    messages = [{"role": "user", "content": "What is the weather in Oslo? use a tool"}]
    first = client().chat.completions.create(model="gpt-5-mini", messages=messages, tools=[WEATHER])
    call = first.choices[0].message.tool_calls[0]
    same(first.choices[0].finish_reason, "tool_calls")
    same(call.function.name, "weather")
    json.loads(call.function.arguments)
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "Rain, 4 degrees."})
    second = client().chat.completions.create(model="gpt-5-mini", messages=messages, tools=[WEATHER])
    same(second.choices[0].finish_reason, "stop")
    assert second.choices[0].message.content, second


@check("tools_stream")
def _():
    messages = [{"role": "user", "content": "What is the weather in Oslo? use a tool"}]
    stream = client().chat.completions.create(model="gpt-5-mini", messages=messages, tools=[WEATHER], stream=True)
    calls = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]
    same("".join(call.function.name or "" for call in calls), "weather")
    json.loads("".join(call.function.arguments or "" for call in calls))


@check("embeddings")
def _():
    answer = client().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    same(len(answer.data), 2)
    assert all(isinstance(number, float) for number in answer.data[0].embedding), answer.data[0]
    positive(answer.usage.prompt_tokens)


@check("responses")
def _():
    answer = client().responses.create(model="gpt-5-mini", input="Say hello.")
    assert answer.output_text, answer
    positive(answer.usage.output_tokens)


@check("responses_stream")
def _():
    events = list(client().responses.create(model="gpt-5-mini", input="Say hello.", stream=True))
    same(events[-1].type, "response.completed")
    positive(events[-1].response.usage.output_tokens)
    assert any(event.type == "response.output_text.delta" for event in events)


@check("stored_state")
def _():
    first = client().responses.create(model="gpt-5-mini", input="Say hello.")
    assert client().responses.create(model="gpt-5-mini", input="More.", previous_response_id=first.id).output_text
    # What nobody here has made is nobody's.
    create = client().responses.create
    raises(
        openai.NotFoundError, 404, lambda: create(model="gpt-5-mini", input="More.", previous_response_id="resp_1")
    )


@check("azure")
def _():
    answer = azure().chat.completions.create(model="azure-gpt-5-mini", messages=HELLO)
    assert answer.choices[0].message.content, answer
    positive(answer.usage.prompt_tokens)


@check("azure_stream")
def _():
    stream = azure().chat.completions.create(model="azure-gpt-5-mini", messages=HELLO, stream=True)
    # Azure's own first chunk may have no choice in it: it tells what its filters say of the prompt.
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


@check("azure_v1")
def _():
    v1 = openai.OpenAI(base_url=f"{BASE}/openai/v1/", api_key=KEY, max_retries=0)
    assert v1.chat.completions.create(model="azure-gpt-5-mini", messages=HELLO).choices[0].message.content


@check("wrong_key")
def _():
    call = client("no-such-key-at-all").chat.completions.create
    problem = raises(openai.AuthenticationError, 401, lambda: call(model="gpt-5-mini", messages=HELLO))
    same(problem.code, "invalid_api_key")
    assert problem.request_id, "no request id"


@check("unknown_model")
def _():
    call = client().chat.completions.create
    problem = raises(openai.NotFoundError, 404, lambda: call(model="no-such-model", messages=HELLO))
    same(problem.code, "model_not_found")


@check("bad_request")
def _():
    # The provider's own refusal of the request, in its own words.
    call = client().chat.completions.create
    problem = raises(openai.BadRequestError, 400, lambda: call(model="gpt-too-long", messages=HELLO))
    same(problem.code, "context_length_exceeded")


@check("rate_limit")
def _():
    call = client(LIMITED_KEY).chat.completions.create
    call(model="gpt-5-mini", messages=HELLO)
    problem = raises(openai.RateLimitError, 429, lambda: call(model="gpt-5-mini", messages=HELLO))
    same(problem.code, "rate_limit_exceeded")
    positive(float(problem.response.headers["retry-after"]))


@check("rate_limit_is_waited_for")
def _():
    call = client(PACED_KEY, max_retries=4).chat.completions.create
    for _ in range(3):
        assert call(model="gpt-5-mini", messages=HELLO).choices[0].message.content


@check("budget_spent")
def _():
    # With the default retries: the refusal itself must keep the SDK from asking again.
    call = client(SPENT_KEY, max_retries=2).chat.completions.create
    problem = raises(openai.RateLimitError, 429, lambda: call(model="gpt-5-mini", messages=HELLO))
    same(problem.code, "budget_exceeded")
    same(problem.response.headers["x-should-retry"], "false")
    return problem


@check("budget_spent_as_400")
def _():
    call = client(SPENT_KEY_400, max_retries=2).chat.completions.create
    return raises(openai.BadRequestError, 400, lambda: call(model="gpt-5-mini", messages=HELLO))


@check("out_of_service")
def _():
    call = client().chat.completions.create
    raises(openai.InternalServerError, 503, lambda: call(model="gpt-out", messages=HELLO))


@check("failover")
def _():
    raw = client().chat.completions.with_raw_response.create(model="gpt-fails-over", messages=HELLO)
    same(raw.headers["x-tollgate-region"], "west")
    same(raw.headers["x-tollgate-attempts"], "2")


@check("all_down")
def _():
    asking = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY)  # and asking again as often as it does by default

    def fails():
        try:
            asking.chat.completions.create(model="gpt-5-mini", messages=HELLO)
        except openai.APIStatusError as problem:
            assert problem.status_code >= 500, problem
            return
        raise AssertionError("it was answered")

    together([fails] * CALLS)


@check("stream_dies")
def _():
    stream = client().chat.completions.create(model="gpt-dies", messages=HELLO, stream=True)
    seen = 0
    try:
        for chunk in stream:
            seen += len(chunk.choices[0].delta.content or "")
    except openai.APIError as problem:
        positive(seen)
        return f"{type(problem).__name__} after {seen} characters"
    raise AssertionError("the stream ended as if it were complete")


@check("responses_stream_dies")
def _():
    # This API's SDK hands on the error as an event of its own.
    events = list(client().responses.create(model="gpt-dies", input="Say hello.", stream=True))
    same(events[-1].type, "error")
    assert all(event.type != "response.completed" for event in events)


@check("client_leaves")
def _():
    stream = client().chat.completions.create(model="gpt-long", messages=HELLO, stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()


run_all()
