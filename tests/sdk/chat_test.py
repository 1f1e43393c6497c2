"""The official Python SDK against a running server: text, voice and pictures, whole and streamed, and errors."""

import base64
import enum
import io
import json
import os
import struct
import unittest
import wave
import zlib

import openai
import pydantic

URL = os.environ["CALLIOPE_URL"]
client = openai.OpenAI(base_url=URL + "/v1", api_key="not-needed", max_retries=0, timeout=60)
MODEL = "calliope-nano"


def png(width: int, height: int, colour: tuple[int, int, int]) -> str:
    """A one-coloured picture as a data: URL."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def wav(seconds: float) -> str:
    """A quiet tone at 16 kHz as base64."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"".join(struct.pack("<h", (i % 50) * 40 - 1000) for i in range(int(16000 * seconds))))
    return base64.b64encode(buffer.getvalue()).decode()


def ask(content, **options):
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}], **options)


class Chat(unittest.TestCase):
    def test_models(self):
        ids = [model.id for model in client.models.list()]
        self.assertIn(MODEL, ids)
        self.assertEqual(client.models.retrieve(MODEL).id, MODEL)

    def test_text_whole_and_streamed_agree(self):
        whole = ask("What is the capital of France?")
        answer = whole.choices[0].message.content
        self.assertIn("Paris", answer)
        self.assertEqual(whole.choices[0].finish_reason, "stop")
        self.assertGreater(whole.usage.prompt_tokens, 5)
        self.assertEqual(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens)
        pieces, usage = [], None
        for chunk in ask("What is the capital of France?", stream=True, stream_options={"include_usage": True}):
            usage = chunk.usage or usage
            pieces += [choice.delta.content or "" for choice in chunk.choices]
        self.assertEqual("".join(pieces), answer)
        self.assertGreater(len([piece for piece in pieces if piece]), 1)
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)

    def test_many_turns(self):
        reply = client.chat.completions.create(
            model=MODEL,
            messages=[
                {"role": "system", "content": "You are Calliope."},
                {"role": "user", "content": "Hello!"},
                {"role": "assistant", "content": "Hello! How can I help you?"},
                {"role": "user", "content": [{"type": "text", "text": "Who are you?"}]},
            ],
        )
        self.assertTrue(reply.choices[0].message.content)

    def test_voice_wav_and_stream(self):
        whole = ask("Hello!", modalities=["text", "audio"], audio={"voice": "default", "format": "wav"})
        message = whole.choices[0].message
        self.assertIsNone(message.content)
        self.assertTrue(message.audio.transcript)
        with wave.open(io.BytesIO(base64.b64decode(message.audio.data))) as file:
            self.assertEqual((file.getframerate(), file.getnchannels(), file.getsampwidth()), (24000, 1, 2))
            whole_samples = file.readframes(file.getnframes())
        self.assertGreater(len(whole_samples), 24000 * 2 * 0.3)
        transcript, data = "", b""
        for chunk in ask("Hello!", modalities=["text", "audio"], audio={"voice": "alloy", "format": "pcm16"}, stream=True):
            for choice in chunk.choices:
                audio = choice.delta.model_dump().get("audio") or {}
                transcript += audio.get("transcript") or ""
                data += base64.b64decode(audio.get("data") or "")
        self.assertEqual(transcript, message.audio.transcript)
        self.assertEqual(data, whole_samples)

    def test_picture_and_sound(self):
        picture = {"type": "image_url", "image_url": {"url": png(64, 48, (200, 30, 30))}}
        sound = {"type": "input_audio", "input_audio": {"data": wav(1.0), "format": "wav"}}
        reply = ask([picture, {"type": "text", "text": "What is in this photo?"}])
        self.assertTrue(reply.choices[0].message.content)
        heard = ask([sound, {"type": "text", "text": "Which digit do you hear?"}])
        self.assertTrue(heard.choices[0].message.content)
        both = ask([picture, sound])
        self.assertGreater(both.usage.prompt_tokens, reply.usage.prompt_tokens)
        self.assertGreater(heard.usage.prompt_tokens_details.audio_tokens, 10)

    def assert_refused(self, content, part, **options):
        with self.assertRaises(openai.BadRequestError) as caught:
            ask(content, **options)
        self.assertEqual(caught.exception.type, "invalid_request_error")
        self.assertIn(part, f"{caught.exception.param} {caught.exception.message}")

    def test_bad_input_is_told_and_the_server_goes_on(self):
        image = "data:image/png;base64,"
        self.assert_refused([{"type": "image_url", "image_url": {"url": image + "AAAA"}}], "image")
        self.assert_refused([{"type": "image_url", "image_url": {"url": image + "!!!"}}], "base64")
        self.assert_refused([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}], "data:")
        self.assert_refused([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}], "audio")
        self.assert_refused([{"type": "video", "video": "x"}], "content[0].type")
        self.assert_refused("hi", "temperature", temperature=9)
        self.assert_refused("hi", "modalities", modalities=["smell"])
        self.assert_refused("word " * 100000, "context")
        self.assertEqual(png(1, 1, (0, 0, 0))[:5], "data:")
        with self.assertRaises(openai.NotFoundError):
            client.models.retrieve("no-such-model")
        self.assertIn("Paris", ask("What is the capital of France?").choices[0].message.content)

    def test_a_limit_and_a_stop(self):
        cut = ask("What is the capital of France?", max_tokens=1)
        self.assertEqual(cut.choices[0].finish_reason, "length")
        stopped = ask("What is the capital of France?", stop=["Paris"])
        self.assertNotIn("Paris", stopped.choices[0].message.content)
        self.assertEqual(stopped.choices[0].finish_reason, "stop")


class Unit(enum.Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Weather(pydantic.BaseModel):
    """The weather in a city."""

    city: str
    unit: Unit
    days: int | None


class Tools(unittest.TestCase):
    tools = [
        openai.pydantic_function_tool(Weather, name="get_weather"),
        {"type": "function", "function": {"name": "now", "description": "The time."}},
    ]
    question = "What is the weather in Paris?"

    def assert_weather(self, call):
        self.assertEqual(call.function.name, "get_weather")
        Weather.model_validate_json(call.function.arguments)
        self.assertTrue(call.id.startswith("call_"))

    def test_a_forced_call_whole_streamed_and_answered(self):
        named = {"type": "function", "function": {"name": "get_weather"}}
        options = {"tools": self.tools, "tool_choice": named, "parallel_tool_calls": False, "max_tokens": 120}
        whole = ask(self.question, **options).choices[0]
        self.assertEqual(whole.finish_reason, "tool_calls")
        self.assertIsNone(whole.message.content)
        self.assertEqual(len(whole.message.tool_calls), 1)
        self.assert_weather(whole.message.tool_calls[0])

        messages = [{"role": "user", "content": self.question}]
        with client.chat.completions.stream(model=MODEL, messages=messages, **options) as stream:
            kinds = [event.type for event in stream]
            streamed = stream.get_final_completion().choices[0]
        self.assertIn("tool_calls.function.arguments.done", kinds)
        self.assertEqual(streamed.finish_reason, "tool_calls")
        self.assertEqual(streamed.message.tool_calls[0].function.arguments, whole.message.tool_calls[0].function.arguments)
        self.assertIsInstance(streamed.message.tool_calls[0].function.parsed_arguments, Weather)

        messages += [whole.message, {"role": "tool", "tool_call_id": whole.message.tool_calls[0].id, "content": "Sunny."}]
        final = client.chat.completions.create(model=MODEL, messages=messages, tools=self.tools, max_tokens=40)
        self.assertGreater(final.usage.prompt_tokens, 100)

    def test_required_none_and_spoken(self):
        spoken = {"modalities": ["text", "audio"], "audio": {"voice": "default", "format": "wav"}}
        required = ask(self.question, tools=self.tools, tool_choice="required", max_tokens=120, **spoken).choices[0]
        self.assertIn(required.message.tool_calls[0].function.name, ("get_weather", "now"))
        free = ask("What is the capital of France?", tools=self.tools, tool_choice="none").choices[0]
        self.assertIsNone(free.message.tool_calls)
        self.assertIn("Paris", free.message.content)

    def test_json_answers(self):
        messages = [{"role": "user", "content": self.question}]
        parsed = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Weather, max_tokens=80)
        self.assertIsInstance(parsed.choices[0].message.parsed, Weather)
        free = ask(self.question, response_format={"type": "json_object"}, max_tokens=60)
        self.assertIsInstance(json.loads(free.choices[0].message.content), dict)

    def test_what_cannot_be_held_is_told(self):
        for options, part in (
            ({"tools": self.tools, "tool_choice": {"type": "function", "function": {"name": "later"}}}, "later"),
            ({"tool_choice": "required"}, "tools"),
            ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "pattern": "a"}}}}, "pattern"),
        ):
            with self.assertRaises(openai.BadRequestError) as caught:
                ask("hi", **options)
            self.assertIn(part, caught.exception.message)


if __name__ == "__main__":
    unittest.main()
