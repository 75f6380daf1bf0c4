"""Google's SDK for Gemini, as shipped: only the base URL and the key are set."""

from google import genai
from google.genai import errors, types

from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, TEXT, check, dies, positive, raises, run_all, same

MODEL = "gemini-2.5-flash"
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            description="The weather in a city.",
            parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}},
        )
    ]
)


def client(key=KEY):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=BASE))


def ask(key=KEY, contents="Say hello.", **options):
    with client(key) as source:
        return source.models.generate_content(model=MODEL, contents=contents, **options)


def stream(model):
    with client() as source:
        yield from source.models.generate_content_stream(model=model, contents="Say hello.")


@check("chat")
def _():
    answer = ask()
    same(answer.text, TEXT)
    positive(answer.usage_metadata.candidates_token_count)


@check("stream")
def _():
    chunks = list(stream(MODEL))
    same("".join(chunk.text or "" for chunk in chunks), TEXT)
    positive(chunks[-1].usage_metadata.candidates_token_count)


@check("tools")
def _():
    question = types.Content(role="user", parts=[types.Part(text="What is the weather in Oslo? use a tool")])
    config = types.GenerateContentConfig(tools=[WEATHER])
    first = ask(contents=[question], config=config)
    call = first.function_calls[0]
    same((call.name, call.args), ("weather", {"city": "Paris"}))
    result = types.Part.from_function_response(name=call.name, response={"weather": "Rain, 4 degrees."})
    history = [question, first.candidates[0].content, types.Content(role="user", parts=[result])]
    same(ask(contents=history, config=config).text, TEXT)


@check("budget_spent")
def _():
    return raises(errors.ClientError, 429, lambda: ask(SPENT_KEY), "code")


@check("budget_spent_as_400")
def _():
    return raises(errors.ClientError, 400, lambda: ask(SPENT_KEY_400), "code")


@check("wrong_key")
def _():
    raises(errors.ClientError, 401, lambda: ask("no-such-key-at-all"), "code")


@check("stream_dies")
def _():
    return dies(errors.APIError, (chunk.text for chunk in stream("gemini-dies")))


run_all()
