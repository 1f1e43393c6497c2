"""The official Python SDK asks a running server to read text aloud: whole, streamed, as events, in every format."""

import base64
import json
import os
import unittest

import openai

URL = os.environ["CALLIOPE_URL"]
client = openai.OpenAI(base_url=URL + "/v1", api_key="not-needed", max_retries=0, timeout=60)
TEXT = "The capital of France is Paris. Three plus four is 7."


def speak(text=TEXT, **options):
    return client.audio.speech.create(**{"model": "calliope-nano", "voice": "default", "input": text, "response_format": "pcm", **options})


class Speech(unittest.TestCase):
    def test_every_format(self):
        starts = {"mp3": b"\xff\xf3", "opus": b"OggS", "aac": b"\xff\xf1", "flac": b"fLaC", "wav": b"RIFF", "pcm": b""}
        for name, start in starts.items():
            with self.subTest(name):
                sound = speak(response_format=name).read()
                self.assertTrue(sound.startswith(start), sound[:4])
                self.assertGreater(len(sound), 8000)

    def test_streamed_equals_whole_and_comes_in_pieces(self):
        whole = speak().read()
        self.assertGreater(len(whole), 24000 * 2 * 2)
        with client.audio.speech.with_streaming_response.create(model="calliope-nano", voice="default", input=TEXT, response_format="pcm") as response:
            pieces = list(response.iter_bytes())
        self.assertGreater(len(pieces), 3)
        self.assertEqual(b"".join(pieces), whole)

    def test_events(self):
        with client.audio.speech.with_streaming_response.create(
            model="calliope-nano", voice="default", input=TEXT, response_format="pcm", stream_format="sse"
        ) as response:
            events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
        self.assertEqual({event["type"] for event in events[:-1]}, {"speech.audio.delta"})
        self.assertEqual(events[-1]["type"], "speech.audio.done")
        usage = events[-1]["usage"]
        self.assertEqual(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
        self.assertEqual(b"".join(base64.b64decode(event["audio"]) for event in events[:-1]), speak().read())

    def test_speed(self):
        usual, fast = len(speak().read()), len(speak(speed=2).read())
        self.assertAlmostEqual(fast / usual, 0.5, delta=0.05)

    def test_a_spoken_answer_is_packed_as_asked(self):
        for name, start in (("mp3", b"\xff\xf3"), ("opus", b"OggS"), ("flac", b"fLaC")):
            reply = client.chat.completions.create(
                model="calliope-nano",
                messages=[{"role": "user", "content": "What is the capital of France?"}],
                modalities=["text", "audio"],
                audio={"voice": "default", "format": name},
            )
            sound = base64.b64decode(reply.choices[0].message.audio.data)
            self.assertTrue(sound.startswith(start), name)
            self.assertGreater(len(sound), 4000)

    def test_bad_input_is_told(self):
        for options, status, part in (
            ({"voice": "nobody"}, 400, "no voice 'nobody'"),
            ({"text": ""}, 400, "input"),
            ({"text": "... !"}, 400, "letters or digits"),
            ({"text": "a" * 4097}, 400, "4096"),
            ({"response_format": "midi"}, 400, "response_format"),
            ({"speed": 9}, 400, "speed"),
            ({"model": "tts-1"}, 404, "tts-1"),
        ):
            with self.subTest(part), self.assertRaises(openai.APIStatusError) as caught:
                speak(**options)
            self.assertEqual(caught.exception.status_code, status)
            self.assertIn(part, f"{caught.exception.param} {caught.exception.message}")


if __name__ == "__main__":
    unittest.main()
