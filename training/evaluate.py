"""Measures calliope-nano through the C++ server, as its users meet it, on what training never saw.

usage: python evaluate.py --url http://127.0.0.1:8080 --data DIR --understanding DIR [--count 400] [--out figures.json]

Typed questions in wordings kept back; digits of a speaker kept back; photos kept back; words in fonts kept back; spoken
answers as an independent recogniser (pocketsphinx, with a grammar of all answers) hears them.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
import sys
import urllib.request
import wave
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "voice")]

from eval_speech_tools import share_understood, spoken_words  # noqa: E402
from understanding import facts, pictures, sounds  # noqa: E402


class Client:
    """The server's chat completions."""

    def __init__(self, url: str):
        self.url = url + "/v1/chat/completions"

    def ask(self, content, **options) -> dict:
        body = {"model": "calliope-nano", "temperature": 0, "messages": [{"role": "user", "content": content}], **options}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))["choices"][0]["message"]

    def text(self, content) -> str:
        return self.ask(content)["content"]


def picture_part(image: Image.Image) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()}}


def sound_part(samples: np.ndarray) -> dict:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sounds.RATE)
        file.writeframes(samples.astype(np.int16).tobytes())
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(buffer.getvalue()).decode(), "format": "wav"}}


def share(name: str, asked: list[tuple], show: int = 5) -> float:
    """Share of (got, wanted) that agree to the letter."""
    right = [got == wanted for got, wanted in asked]
    print(f"{name}: {sum(right)} of {len(right)} ({100 * np.mean(right):.1f} %)", flush=True)
    for got, wanted in [pair for pair, ok in zip(asked, right) if not ok][:show]:
        print(f"    wanted: {wanted} | got: {got}")
    return round(float(np.mean(right)), 4)


def typed(client: Client, rng: random.Random, count: int) -> float:
    drawn = [facts.question(rng, held_out=True)[1:] for _ in range(count)]
    return share("typed questions", [(client.text(q), a) for q, a in drawn])


def follow_up(client: Client, rng: random.Random, count: int) -> float:
    asked = []
    for _ in range(count):
        (_, q1, a1), (_, q2, a2) = facts.question(rng, True), facts.question(rng, True)
        messages = [{"role": "user", "content": q1}, {"role": "assistant", "content": a1}, {"role": "user", "content": q2}]
        asked.append((client.ask("", messages=messages)["content"], a2))
    return share("typed questions as a second turn", asked)


def digits(client: Client, rng: random.Random, clips: list, count: int) -> float:
    chosen = rng.sample(clips, min(count, len(clips)))
    text = [{"type": "text", "text": "Which digit do you hear?"}]
    return share("digits of a new speaker", [(client.text([sound_part(c[0])] + text), facts.digit_answer(c[1])) for c in chosen])


def questions_aloud(client: Client, rng: random.Random, clips: list, count: int) -> float:
    chosen = rng.sample(clips, min(count, len(clips)))
    return share("questions spoken by new synthetic voices", [(client.text([sound_part(c[0])]), c[1][1]) for c in chosen])


def photos(client: Client, held: pictures.Photos, count: int) -> float:
    asked = []
    for pixels, label in list(zip(held.pixels, held.labels))[held.train_count :][:count]:
        part = picture_part(Image.fromarray(pixels.permute(1, 2, 0).numpy()))
        answer = client.text([part, {"type": "text", "text": "What is in this photo?"}])
        asked.append((answer, facts.photo_answer(facts.PHOTO_CLASSES[label])))
    return share("photos", asked)


def words(client: Client, rng: random.Random, count: int) -> float:
    fonts = pictures.fonts(held_out=True)
    asked = []
    for _ in range(count):
        width, height = rng.choice(list(pictures.SHAPES))
        word = rng.choice([w for w in facts.WORDS if len(w) <= width // 11])
        image, _ = pictures.draw_word(rng.choice([word, word.upper(), word.capitalize()]), rng.choice(fonts), rng, width, height)
        answer = client.text([picture_part(image), {"type": "text", "text": "Read the text."}])
        asked.append((answer, facts.read_answer(word)))
    return share("printed words in new fonts", asked)


def spoken_answers(client: Client, rng: random.Random, count: int) -> float:
    waves, said = [], []
    for _ in range(count):
        _, question, _ = facts.question(rng, held_out=True)
        message = client.ask(question, modalities=["text", "audio"], audio={"voice": "default", "format": "wav"})
        with wave.open(io.BytesIO(base64.b64decode(message["audio"]["data"]))) as file:
            waves.append(np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768)
        said.append(spoken_words(message["audio"]["transcript"]))
    grammar = sorted({spoken_words(answer) for answer in facts.answers()})
    return round(share_understood("spoken answers", waves, said, grammar, show=8), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--understanding", type=Path, required=True, help="the folder joint.py works in")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    client, rng = Client(args.url), random.Random(17)
    clips = sounds.Sounds(args.data, args.understanding)
    figures = {
        "typed": typed(client, rng, args.count),
        "follow_up": follow_up(client, rng, args.count // 2),
        "digits": digits(client, rng, clips.held_digits, args.count),
        "questions_aloud": questions_aloud(client, rng, clips.held_questions, args.count // 2),
        "photos": photos(client, pictures.Photos(args.data, args.understanding), 2 * args.count),
        "words": words(client, rng, args.count),
        "spoken_answers": spoken_answers(client, rng, args.count // 2),
    }
    print(json.dumps(figures))
    if args.out:
        args.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
