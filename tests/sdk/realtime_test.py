"""The official Python SDK holds realtime conversations: text and voice in, voice out, tools, interruption, truncation."""

import asyncio
import base64
import io
import json
import os
import unittest
import wave

import openai

URL = os.environ["CALLIOPE_URL"]
MODEL = "calliope-nano"
client = openai.AsyncOpenAI(base_url=URL + "/v1", api_key="not-needed", max_retries=0, timeout=60)
speaker = openai.OpenAI(base_url=URL + "/v1", api_key="not-needed", max_retries=0, timeout=60)
RATE = 24000


def spoken(text: str) -> bytes:
    """What the model says to a text, as 24 kHz samples: somebody's voice to talk to it with."""
    reply = speaker.chat.completions.create(
        model=MODEL,
        modalities=["text", "audio"],
        audio={"voice": "default", "format": "wav"},
        messages=[{"role": "user", "content": text}],
    )
    with wave.open(io.BytesIO(base64.b64decode(reply.choices[0].message.audio.data))) as file:
        assert file.getframerate() == RATE
        return file.readframes(file.getnframes())


def silence(ms: int) -> bytes:
    return bytes(2 * RATE * ms // 1000)


def say(text: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


class Listener:
    """Collects the events of a connection."""

    def __init__(self, connection):
        self.connection = connection
        self.events = []

    async def until(self, kind: str):
        """Reads up to the next event of a type."""
        while True:
            event = await self.connection.recv()
            self.events.append(event)
            if event.type == "error" and kind != "error":
                raise AssertionError(event.error.message)
            if event.type == kind:
                return event

    def all(self, kind: str):
        return [event for event in self.events if event.type == kind]

    def sound(self) -> bytes:
        return b"".join(base64.b64decode(event.delta) for event in self.all("response.output_audio.delta"))


class Realtime(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = 10  # speaker blocks, on purpose
        self.manager = client.realtime.connect(model=MODEL)
        self.connection = await self.manager.enter()
        self.listener = Listener(self.connection)
        self.session = (await self.listener.until("session.created")).session

    async def asyncTearDown(self):
        await self.connection.close()

    async def set(self, turn_detection=None, **session):
        await self.connection.session.update(
            session={"type": "realtime", "audio": {"input": {"turn_detection": turn_detection}}, **session}
        )
        return (await self.listener.until("session.updated")).session

    async def hear(self, samples: bytes):
        for at in range(0, len(samples), 4800):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(samples[at : at + 4800]).decode())

    async def test_text_in_voice_out(self):
        self.assertEqual(self.session.model, MODEL)
        await self.set()
        await self.connection.conversation.item.create(item=say("What is the capital of France?"))
        await self.connection.response.create()
        done = await self.listener.until("response.done")
        self.assertEqual(done.response.status, "completed")
        transcript = self.listener.all("response.output_audio_transcript.done")[0].transcript
        self.assertIn("Paris", transcript)
        deltas = "".join(event.delta for event in self.listener.all("response.output_audio_transcript.delta"))
        self.assertEqual(deltas, transcript)
        self.assertGreater(len(self.listener.sound()), RATE)  # half a second
        self.assertEqual(done.response.output[0].content[0].transcript, transcript)
        self.assertGreater(done.response.usage.output_tokens, 5)

    async def test_text_in_text_out_goes_on(self):
        await self.set(output_modalities=["text"])
        for question, answer in (("What is the capital of France?", "Paris"), ("What is the capital of Italy?", "Rome")):
            await self.connection.conversation.item.create(item=say(question))
            await self.connection.response.create()
            done = await self.listener.until("response.done")
            self.assertIn(answer, done.response.output[0].content[0].text)
        self.assertEqual(self.listener.sound(), b"")

    async def test_voice_in_voice_out(self):
        voice = spoken("What is the capital of France?")
        session = await self.set({"type": "server_vad", "silence_duration_ms": 400})
        self.assertEqual(session.audio.input.turn_detection.silence_duration_ms, 400)
        await self.hear(silence(500) + voice + silence(900))
        started = await self.listener.until("input_audio_buffer.speech_started")
        stopped = await self.listener.until("input_audio_buffer.speech_stopped")
        self.assertGreater(stopped.audio_end_ms, started.audio_start_ms)
        committed = await self.listener.until("input_audio_buffer.committed")
        self.assertEqual(committed.item_id, started.item_id)
        done = await self.listener.until("response.done")
        self.assertEqual(done.response.status, "completed")
        self.assertGreater(len(self.listener.sound()), RATE // 2)

    async def test_pushed_to_talk(self):
        voice = spoken("What is the capital of France?")
        await self.set(output_modalities=["text"])
        await self.hear(voice)
        await self.connection.input_audio_buffer.commit()
        item = (await self.listener.until("conversation.item.done")).item
        self.assertEqual(item.content[0].type, "input_audio")
        await self.connection.response.create()
        done = await self.listener.until("response.done")
        self.assertEqual(done.response.status, "completed")
        await self.connection.conversation.item.retrieve(item_id=item.id)
        kept = (await self.listener.until("conversation.item.retrieved")).item
        self.assertAlmostEqual(len(base64.b64decode(kept.content[0].audio)) / len(voice), 1, places=2)

    async def test_forced_tool_call(self):
        tool = {
            "type": "function",
            "name": "look_up",
            "description": "Looks something up.",
            "parameters": {"type": "object", "properties": {"deep": {"type": "boolean"}}, "required": ["deep"]},
        }
        await self.set(tools=[tool], tool_choice={"type": "function", "name": "look_up"}, output_modalities=["text"])
        await self.connection.conversation.item.create(item=say("What is the capital of France?"))
        await self.connection.response.create()
        called = await self.listener.until("response.function_call_arguments.done")
        self.assertIsInstance(json.loads(called.arguments)["deep"], bool)
        done = await self.listener.until("response.done")
        item = done.response.output[-1]
        self.assertEqual((item.type, item.name, item.call_id), ("function_call", "look_up", called.call_id))
        await self.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": called.call_id, "output": "Paris"}
        )
        await self.connection.response.create(response={"tool_choice": "none"})
        done = await self.listener.until("response.done")
        self.assertEqual(done.response.status, "completed")
        self.assertEqual(done.response.output[0].type, "message")

    async def test_interruption(self):
        voice = spoken("What is the capital of France?")
        await self.set({"type": "server_vad"})
        await self.hear(silence(600))
        await self.connection.conversation.item.create(item=say("What is the capital of France?"))
        await self.connection.response.create()
        first = (await self.listener.until("response.created")).response.id
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(voice + silence(1000)).decode())
        await self.listener.until("input_audio_buffer.speech_started")
        done = await self.listener.until("response.done")
        self.assertEqual((done.response.id, done.response.status), (first, "cancelled"))
        self.assertEqual(done.response.status_details.reason, "turn_detected")
        before = len(self.listener.all("response.output_audio.delta"))
        second = await self.listener.until("response.done")
        self.assertNotEqual(second.response.id, first)
        late = self.listener.all("response.output_audio.delta")[before:]
        self.assertTrue(all(event.response_id != first for event in late))

    async def test_truncation(self):
        await self.set()
        await self.connection.conversation.item.create(item=say("What is the capital of France?"))
        await self.connection.response.create()
        item = (await self.listener.until("response.done")).response.output[0]
        ms = len(self.listener.sound()) // 2 * 1000 // RATE
        await self.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=ms // 2)
        await self.listener.until("conversation.item.truncated")
        await self.connection.conversation.item.retrieve(item_id=item.id)
        kept = (await self.listener.until("conversation.item.retrieved")).item.content[0].transcript
        whole = item.content[0].transcript
        self.assertTrue(whole.startswith(kept))
        self.assertLess(0, len(kept))
        self.assertLess(len(kept), len(whole))
        await self.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=ms + 100)
        error = (await self.listener.until("error")).error
        self.assertEqual(error.param, "audio_end_ms")

    async def test_client_secret(self):
        secret = await client.realtime.client_secrets.create(
            session={"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]}
        )
        self.assertTrue(secret.value.startswith("ek_"))
        browser = openai.AsyncOpenAI(base_url=URL + "/v1", api_key=secret.value, max_retries=0)
        async with browser.realtime.connect(model=MODEL) as connection:
            session = (await connection.recv()).session
        self.assertEqual(session.instructions, "Be brief.")

    async def test_errors_do_not_end_the_session(self):
        await self.connection.send({"type": "nonsense", "event_id": "mine"})
        error = (await self.listener.until("error")).error
        self.assertEqual((error.event_id, error.param), ("mine", "type"))
        await self.connection.input_audio_buffer.commit()
        self.assertEqual((await self.listener.until("error")).error.code, "input_audio_buffer_commit_empty")
        await self.set()


if __name__ == "__main__":
    unittest.main()
