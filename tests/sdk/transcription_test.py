"""The official Python SDK writes down what is said: whole, in every format, and streamed. How well is no matter here."""

import base64
import io
import os
import unittest
import wave

import openai

client = openai.OpenAI(base_url=os.environ["CALLIOPE_URL"] + "/v1", api_key="not-needed", max_retries=0, timeout=60)
MODEL = "calliope-nano"


def spoken(question: str) -> bytes:
    """What the server answers aloud, as a WAV file of 24 kHz, mono, 16 bits."""
    reply = client.chat.completions.create(model=MODEL, modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"},
                                           messages=[{"role": "user", "content": question}])
    return base64.b64decode(reply.choices[0].message.audio.data)


class Transcription(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.speech = spoken("What is the capital of France?")

    def create(self, **options):
        return client.audio.transcriptions.create(model=MODEL, file=("question.wav", self.speech), **options)

    def test_whole_and_streamed_agree(self):
        whole = self.create(language="en", prompt="A question.")
        self.assertEqual(whole.usage.type, "tokens")
        self.assertGreater(whole.usage.input_token_details.audio_tokens, 10)
        self.assertEqual(whole.usage.total_tokens, whole.usage.input_tokens + whole.usage.output_tokens)
        events = list(self.create(stream=True))
        self.assertEqual(events[-1].type, "transcript.text.done")
        self.assertEqual(events[-1].text, whole.text)
        deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
        self.assertEqual("".join(deltas), whole.text)
        self.assertEqual(events[-1].usage.output_tokens, whole.usage.output_tokens)

    def test_other_formats(self):
        text = self.create().text
        self.assertEqual(self.create(response_format="text"), text + "\n")
        verbose = self.create(response_format="verbose_json", timestamp_granularities=["segment"])
        self.assertEqual(verbose.text, " ".join(segment.text.strip() for segment in verbose.segments))
        seconds = (len(self.speech) - 44) / 48000
        self.assertAlmostEqual(float(verbose.duration), seconds, delta=0.05)
        for segment in verbose.segments:
            self.assertLess(segment.start, segment.end)
            self.assertLessEqual(segment.end, seconds + 0.05)
        if text:
            times = r"00:00:\d\d[,.]\d{3} --> 00:00:\d\d[,.]\d{3}\n"
            self.assertRegex(self.create(response_format="srt"), r"^1\n" + times)
            self.assertRegex(self.create(response_format="vtt"), r"^WEBVTT\n\n" + times)

    def test_errors_name_the_field(self):
        for options, field in (
            ({"response_format": "diarized_json"}, "response_format"),
            ({"language": "klingon"}, "language"),
            ({"include": ["logprobs"]}, "include"),
            ({"timestamp_granularities": ["word"], "response_format": "verbose_json"}, "timestamp_granularities"),
        ):
            with self.subTest(field), self.assertRaises(openai.BadRequestError) as caught:
                self.create(**options)
            self.assertEqual(caught.exception.param, field)
        with self.assertRaises(openai.BadRequestError) as caught:
            client.audio.transcriptions.create(model=MODEL, file=("question.wav", b"no sound at all"))
        self.assertEqual(caught.exception.param, "file")
        with self.assertRaises(openai.NotFoundError):
            client.audio.transcriptions.create(model="whisper-1", file=("question.wav", self.speech))
        with self.assertRaisesRegex(openai.BadRequestError, "/v1/audio/transcriptions"):
            client.audio.translations.create(model=MODEL, file=io.BytesIO(self.speech))

    def test_silence_has_no_words(self):
        silence = io.BytesIO()
        with wave.open(silence, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(bytes(32000))
        self.assertEqual(client.audio.transcriptions.create(model=MODEL, file=("silence.wav", silence.getvalue())).text, "")


if __name__ == "__main__":
    unittest.main()
