"""boto3's client of Bedrock's runtime, as shipped: only the endpoint and the credential are set. `AUTH` says
which credential: `bearer`, a key that boto3 sends over TLS only, or `signature`, a key pair that signs."""

import os

import boto3
from botocore.exceptions import ClientError, EventStreamError

from reporting import BASE, KEY, SPENT_KEY, SPENT_KEY_400, TEXT, check, positive, run_all, same

MODEL = "anthropic.claude-sonnet-4-6"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]
WEATHER = {
    "toolSpec": {
        "name": "weather",
        "description": "The weather in a city.",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    }
}


IS_BEARER = os.environ["AUTH"] == "bearer"


def client(key=KEY):
    options = {"endpoint_url": BASE, "region_name": "us-east-1", "verify": os.environ.get("CA_FILE")}
    if IS_BEARER:
        os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key
        return boto3.client("bedrock-runtime", **options)
    # The id of a key pair of these tests is made of its secret.
    access_key = "TLG" + "".join(filter(str.isalnum, key)).upper()
    return boto3.client("bedrock-runtime", aws_access_key_id=access_key, aws_secret_access_key=key, **options)


def converse(key=KEY, messages=HELLO, **options):
    return client(key).converse(modelId=MODEL, messages=messages, **options)


def pieces(model):
    """The text of a stream."""
    for event in client().converse_stream(modelId=model, messages=HELLO)["stream"]:
        yield event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")


def refusal(key, status, code):
    """What must raise with this status and this code of an exception; all that the caller sees of it."""
    try:
        converse(key)
    except ClientError as problem:
        head = problem.response["ResponseMetadata"]
        same((head["HTTPStatusCode"], problem.response["Error"]["Code"]), (status, code))
        return f"{problem} {head.get('RequestId')}"
    raise AssertionError(f"nothing was raised, wanted {code}")


@check("chat")
def _():
    answer = converse()
    same(answer["output"]["message"]["content"][0]["text"], TEXT)
    positive(answer["usage"]["outputTokens"])


@check("stream")
def _():
    same("".join(pieces(MODEL)), TEXT)


@check("tools")
def _():
    messages = [{"role": "user", "content": [{"text": "What is the weather in Oslo? use a tool"}]}]
    tools = {"toolConfig": {"tools": [WEATHER]}}
    message = converse(messages=messages, **tools)["output"]["message"]
    call = next(block["toolUse"] for block in message["content"] if "toolUse" in block)
    same((call["name"], call["input"]), ("weather", {"city": "Paris"}))
    result = {"toolUseId": call["toolUseId"], "content": [{"text": "Rain, 4 degrees."}]}
    messages += [message, {"role": "user", "content": [{"toolResult": result}]}]
    same(converse(messages=messages, **tools)["output"]["message"]["content"][0]["text"], TEXT)


@check("budget_spent")
def _():
    return refusal(SPENT_KEY, 429, "ServiceQuotaExceededException")


@check("budget_spent_as_400")
def _():
    return refusal(SPENT_KEY_400, 400, "ServiceQuotaExceededException")


@check("wrong_key")
def _():
    refused = (401, "AccessDeniedException") if IS_BEARER else (403, "UnrecognizedClientException")
    return refusal("no-such-key-at-all", *refused)


@check("stream_dies")
def _():
    seen = 0
    try:
        for piece in pieces("bedrock-dies"):
            seen += len(piece)
    except EventStreamError as problem:
        positive(seen)
        return problem
    raise AssertionError("the stream ended as if it were complete")


run_all()
