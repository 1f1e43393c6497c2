"""The ten listening samples of a voice that ships, docs/voice/vN-01.opus to vN-10.opus: the same sentences each time.

  samples.py MODEL VERSION [--out DIR] [--calliope PROGRAM]

Speaks with the product itself. Mono Opus of 16 kbit/s, some 2 kB a second; encoded by ffmpeg, or by soundfile where there is none.
Prints a list of them in Markdown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import soundfile

HOME = Path(__file__).resolve().parent.parent.parent
BITS_PER_S = 16000
QUESTION = "What is the capital of France?"
SENTENCES = (
    "Hello! My name is Calliope, and I am glad to meet you.",
    "Would you like a cup of tea, or shall we go for a walk first?",
    "On March 3rd, 1998, Anna paid $25.50 for the lamp.",
    "Dr. Smith meets Clara and Oscar in Edinburgh at 9:30 a.m.",
    "It is 12 °C outside, the wind blows at 35 km/h, and the chance of rain is 60%.",
    "When the rain had stopped at last, the children ran down the hill, past the old mill and the empty church, and nobody saw them again before it was dark.",
    "We need bread, butter, two lemons, a dozen eggs and a bottle of olive oil.",
    "The word rhythm is spelled R, H, Y, T, H, M.",
    "The archaeologist's mellifluous soliloquy bewildered seven quizzical aristocrats.",
    None,  # what the model answers to QUESTION
)


def speak(program: str, model: str, text: str | None, path: str) -> str:
    """Writes a WAV file; returns the text that is spoken."""
    if text is None:
        command = [program, "ask", QUESTION, "--speak", path, "--model", model, "--temperature", "0"]
    else:
        command = [program, "speak", text, "--out", path, "--model", model]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return f"{QUESTION} {answer}" if text is None else text


def encode(wav: str, opus: Path) -> None:
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-y", "-loglevel", "error", "-i", wav, "-ac", "1", "-c:a", "libopus", "-b:a", str(BITS_PER_S), "-application", "voip", "-map_metadata", "-1", "-bitexact", opus]
        subprocess.run(command, check=True)
        return
    wave, rate = soundfile.read(wav)
    level = (256000 - BITS_PER_S) / 250000  # libsndfile maps 0 to 256 kbit/s, 1 to 6
    soundfile.write(opus, wave, rate, format="OGG", subtype="OPUS", compression_level=level)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder")
    parser.add_argument("version", type=int, help="of the model: 5 for v5-01.opus")
    parser.add_argument("--out", type=Path, default=HOME / "docs/voice")
    parser.add_argument("--calliope", default=str(HOME / "build/release/calliope"), help="the program")
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wav = os.path.join(folder, "speech.wav")
        for number, text in enumerate(SENTENCES, 1):
            opus = a.out / f"v{a.version}-{number:02}.opus"
            said = speak(a.calliope, a.model, text, wav)
            encode(wav, opus)
            print(f"- [{opus.name}]({opus.name}), {soundfile.info(wav).duration:.1f} s, {opus.stat().st_size / 1000:.1f} kB: {said}", flush=True)


if __name__ == "__main__":
    main()
