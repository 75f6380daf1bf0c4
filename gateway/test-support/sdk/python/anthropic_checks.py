"""The Anthropic SDK, as shipped, against a gateway: only the base URL and the key are set."""

import anthropic

from reporting import (
    BASE,
    CALLS,
    KEY,
    LIMITED_KEY,
    SPENT_KEY,
    SPENT_KEY_400,
    check,
    positive,
    raises,
    run_all,
    same,
    together,
)

HELLO = {"model": "claude-sonnet-4-6", "max_tokens": 64, "messages": [{"role": "user", "content": "Say hello."}]}
WEATHER = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def client(key=KEY, **options):
    return anthropic.Anthropic(base_url=BASE, api_key=key, **{"max_retries": 0, **options})


@check("chat")
def _():
    answer = client().messages.create(**HELLO)
    assert answer.content[0].text, answer
    positive(answer.usage.input_tokens)
    positive(answer.usage.output_tokens)


@check("request_id")
def _():
    raw = client().messages.with_raw_response.create(**HELLO)
    same(raw.headers["x-tollgate-upstream"], "anthropic-east")
    same(raw.headers["request-id"], raw.headers["x-request-id"])
    same(raw.parse()._request_id, raw.headers["request-id"])


@check("beta_messages")
def _():
    assert client().beta.messages.create(**HELLO, betas=["token-efficient-tools-2025-02-19"]).content[0].text


@check("stream")
def _():
    with client().messages.stream(**HELLO) as stream:
        assert "".join(stream.text_stream)
        positive(stream.get_final_message().usage.output_tokens)


@check("tools")
def _():
    messages = [{"role": "user", "content": "What is the weather in Oslo? use a tool"}]
    first = client().messages.create(**{**HELLO, "messages": messages}, tools=[WEATHER])
    same(first.stop_reason, "tool_use")
    call = next(block for block in first.content if block.type == "tool_use")
    same(call.name, "weather")
    messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Rain, 4 degrees."}
    messages.append({"role": "user", "content": [result]})
    second = client().messages.create(**{**HELLO, "messages": messages}, tools=[WEATHER])
    same(second.stop_reason, "end_turn")


@check("tools_stream")
def _():
    messages = [{"role": "user", "content": "What is the weather in Oslo? use a tool"}]
    with client().messages.stream(**{**HELLO, "messages": messages}, tools=[WEATHER]) as stream:
        final = stream.get_final_message()
    same(final.stop_reason, "tool_use")


@check("count_tokens")
def _():
    answer = client().messages.count_tokens(model=HELLO["model"], messages=HELLO["messages"])
    positive(answer.input_tokens)


@check("models")
def _():
    assert "claude-sonnet-4-6" in {model.id for model in client().models.list()}


@check("wrong_key")
def _():
    raises(anthropic.AuthenticationError, 401, lambda: client("no-such-key-at-all").messages.create(**HELLO))


@check("unknown_model")
def _():
    raises(anthropic.NotFoundError, 404, lambda: client().messages.create(**{**HELLO, "model": "no-such-model"}))


@check("rate_limit")
def _():
    call = client(LIMITED_KEY).messages.create
    call(**HELLO)
    problem = raises(anthropic.RateLimitError, 429, lambda: call(**HELLO))
    same(problem.response.headers["x-tollgate-error"], "rate_limit_exceeded")
    positive(float(problem.response.headers["retry-after"]))


@check("budget_spent")
def _():
    # With the default retries: the refusal itself must keep the SDK from asking again.
    call = client(SPENT_KEY, max_retries=2).messages.create
    problem = raises(anthropic.RateLimitError, 429, lambda: call(**HELLO))
    same(problem.response.headers["x-tollgate-error"], "budget_exceeded")
    return problem


@check("budget_spent_as_400")
def _():
    call = client(SPENT_KEY_400, max_retries=2).messages.create
    return raises(anthropic.BadRequestError, 400, lambda: call(**HELLO))


@check("out_of_service")
def _():
    raises(anthropic.APIStatusError, 503, lambda: client().messages.create(**{**HELLO, "model": "claude-out"}))


@check("all_down")
def _():
    asking = anthropic.Anthropic(base_url=BASE, api_key=KEY)  # and asking again as often as it does by default

    def fails():
        try:
            asking.messages.create(**HELLO)
        except anthropic.APIStatusError as problem:
            assert problem.status_code >= 500, problem
            return
        raise AssertionError("it was answered")

    together([fails] * CALLS)


@check("stream_dies")
def _():
    seen = 0
    try:
        with client().messages.stream(**{**HELLO, "model": "claude-dies"}) as stream:
            for text in stream.text_stream:
                seen += len(text)
    except anthropic.APIError as problem:
        positive(seen)
        return f"{type(problem).__name__} after {seen} characters"
    raise AssertionError("the stream ended as if it were complete")


@check("client_leaves")
def _():
    with client().messages.stream(**{**HELLO, "model": "claude-long"}) as stream:
        for _ in stream.text_stream:
            break


run_all()
