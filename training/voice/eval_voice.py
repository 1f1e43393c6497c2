"""Measures the voice of a model on 200 sentences that it never trained on, 50 of them with numbers, dates and names as people write
them. The model speaks through `calliope serve`; beside it stands its source, flite's voice, given the same text in words.

words     pocketsphinx with its large-vocabulary model: words wrong of ours, of the source and of the codec's resynthesis
codec     resynthesis of unseen source speech (vocoder.py -> quantizer -> the model's code2wav) against it: PESQ, STOI, mel distance
pitch     share of voiced steps and range of F0 by Praat, against the source; loudness by BS.1770
ends      what follows the last word. Its end is where pocketsphinx hears the last phone of the text; that of the sound is the last
          10 ms with a sample above -35 dB of the loudest. Cut: the last 20 ms have such a sample. Lengths are from first to last sound
streamed  ten sentences as server-sent events and as one sound: identical samples
speed     one request at a time, from sending it to the last and to the first sample
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import socket
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

HOME = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(HOME / "training"), str(HOME / "bench")]  # optimizer.py; server_process.py

import config  # noqa: E402
import eval_speech_tools as tools  # noqa: E402
from english import examples, written_number_sentences  # noqa: E402
from server_process import Server  # noqa: E402

SENTENCES, WITH_NUMBERS, STREAMED = 200, 50, 10
RATE, SOURCE_RATE = config.SAMPLE_RATE_HZ, 16000
PARTS = ("words", "codec", "pitch", "ends", "streamed", "speed")


@dataclass
class Sentence:
    written: str
    said: str  # in words
    kind: str  # plain, numbers


@dataclass
class Speech:
    wave: np.ndarray  # float, -1 to 1
    first_s: float = 0.0  # from the request to the first sample
    last_s: float = 0.0


class Calliope:
    """A server that speaks."""

    def __init__(self, program: str, model: str, threads: int | None):
        options = ["--threads", str(threads)] if threads else []
        self.server = Server([program, "serve", "--model", model, "--port", "{port}", *options], "/readyz")
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/v1/models") as response:
            self.model = json.load(response)["data"][0]["id"]

    def say(self, text: str, **options) -> Speech:
        body = json.dumps({"model": self.model, "voice": "default", "input": text, "response_format": "pcm", **options})
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=600)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start, first = time.monotonic(), 0.0
        connection.request("POST", "/v1/audio/speech", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise SystemExit(f"the server answers {response.status} to {text!r}: {response.read(2000).decode(errors='replace')}")
        data = bytearray()
        events = response.headers.get_content_type() == "text/event-stream"
        while piece := response.readline() if events else response.read1(65536):
            if events:
                event = json.loads(piece[6:]) if piece.startswith(b"data: {") else {}
                piece = base64.b64decode(event["audio"]) if event.get("type") == "speech.audio.delta" else b""
            data += piece
            first = first or (time.monotonic() - start if data else 0.0)
        connection.close()
        return Speech(np.frombuffer(bytes(data), "<i2").astype(np.float64) / 32768, first, time.monotonic() - start)


class Source:
    """The voice that ours imitates, and the codec's resynthesis of it."""

    def __init__(self, work: str):
        """What it says and what was heard of it is kept in the folder `work`, as it is the same for every model."""
        from flite import Flite
        from vocoder import Vocoder

        self.flite, self.work = Flite(config.FLITE_VOICE), work
        self.vocoder = Vocoder(self.flite)
        os.makedirs(work, exist_ok=True)

    def _path(self, sentence: Sentence, ending: str) -> Path:
        return Path(self.work) / f"{config.FLITE_VOICE}-{hashlib.sha256(sentence.said.encode()).hexdigest()[:24]}{ending}"

    def say(self, sentence: Sentence) -> np.ndarray:
        if not (path := self._path(sentence, ".wav")).exists():
            soundfile.write(path, self.flite.predict(sentence.said, full=True).wave, SOURCE_RATE)
        return soundfile.read(path)[0]

    def heard(self, sentences: list[Sentence]) -> list[tools.Heard]:
        new = [s for s in sentences if not self._path(s, ".json").exists()]
        for sentence, found in zip(new, tools.transcribe([self.say(s) for s in new], SOURCE_RATE) if new else []):
            self._path(sentence, ".json").write_text(json.dumps(found.words))
        return [tools.Heard([tuple(word) for word in json.loads(self._path(s, ".json").read_text())]) for s in sentences]

    def resynthesis(self, sentence: Sentence, codec) -> tuple[np.ndarray, np.ndarray]:
        """The source speech in words of whole frames, with its own pitch, and what the codec makes of it; equally long."""
        import torch

        import speech_data
        import vocoder

        quantizer, code2wav = codec
        said = self.flite.predict(sentence.said)
        sound = self.vocoder.sound(self.vocoder.rows(said, lock=False)).clip(-0.98, 0.98)
        rows = self.vocoder.rows(said)
        codes = quantizer.encode(torch.from_numpy(speech_data.features(rows)), torch.from_numpy(vocoder.excitation(rows)))
        with torch.no_grad():
            made = code2wav(codes.T[None].long())[0].clamp(-1, 1).numpy()
        return sound[: len(made)], made[: len(sound)]


def load_codec(model: str, quantizer_path: str):
    """(quantizer, code2wav) of a model folder. Raises ValueError when they do not belong to this recipe."""
    import torch
    from safetensors import safe_open

    from code2wav import Code2Wav
    from quantizer import BOOKS, Quantizer

    sizes = json.load(open(os.path.join(model, "config.json")))["code2wav_config"]
    if (sizes["num_quantizers"], sizes["codebook_size"]) != (config.CODE_GROUPS, config.CODEBOOK_SIZE):
        raise ValueError(f"the model's codec has {sizes['num_quantizers']} groups of {sizes['codebook_size']} codes, this recipe's {config.CODE_GROUPS} of {config.CODEBOOK_SIZE}")
    if not os.path.exists(quantizer_path):
        raise ValueError(f"{quantizer_path} is missing")
    quantizer = Quantizer.from_state({name: value.float() for name, value in torch.load(quantizer_path).items()})
    if len(quantizer.books) != len(BOOKS):
        raise ValueError(f"{quantizer_path} has {len(quantizer.books)} books, this recipe's {len(BOOKS)}")
    code2wav = Code2Wav(sizes).eval()
    with safe_open(os.path.join(model, "model.safetensors"), "pt") as file:
        names = [name for name in file.keys() if name.startswith("code2wav.")]
        code2wav.load_state_dict({name.removeprefix("code2wav."): file.get_tensor(name).float() for name in names})
    return quantizer, code2wav


def held_out(count: int) -> list[Sentence]:
    numbers = written_number_sentences(WITH_NUMBERS)[: max(1, count * WITH_NUMBERS // SENTENCES)]
    plain = examples()[1][: count - len(numbers)]
    return [Sentence(text, text, "plain") for text in plain] + [Sentence(written, said, "numbers") for written, said in numbers]


class Table:
    """Prints figures as they come, and keeps them."""

    def __init__(self):
        self.figures: dict[str, dict] = {}
        print(f"{'':38}{'ours':>16}{'source':>12}  bar")

    def add(self, part: str, name: str, ours, source=None, bar: str = "", holds: bool | None = None, unit: str = "", note: str = "") -> None:
        self.figures.setdefault(part, {})[name] = {"ours": ours, "source": source, "unit": unit, "bar": bar, "holds": holds, "note": note}
        shown = lambda value: "" if value is None else f"{value:.4g}{unit and ' ' + unit}" if isinstance(value, float) else f"{value}"
        verdict = "" if holds is None else "holds" if holds else "MISSED"
        print(f"{part + ': ' + name:38}{shown(ours):>16}{shown(source):>12}  {bar:14}{verdict:8}{note}".rstrip(), flush=True)

    def against(self, part: str, name: str, ours: float, source: float, unit: str, limit: float | None = None) -> None:
        change = ours / source - 1
        bar = f"within {100 * limit:.0f} %" if limit else ""
        self.add(part, name, ours, source, bar, abs(change) <= limit if limit else None, unit, f"{100 * change:+.1f} %")


def words(table: Table, sentences: list[Sentence], source: Source, heard: list[tools.Heard], resynthesis: list[np.ndarray]) -> None:
    of_source, of_codec = source.heard(sentences), tools.transcribe(resynthesis, RATE) if resynthesis else None
    count = lambda found: np.array([tools.wrong_words(s.said, h) for s, h in zip(sentences, found)], float)  # [sentences, (wrong, said)]
    ours, theirs = count(heard), count(of_source)
    kinds = np.array([s.kind for s in sentences])
    rng = np.random.default_rng(0)
    for name, used in (("all", kinds != ""), ("plain", kinds == "plain"), ("numbers", kinds == "numbers")):
        share = lambda x: 100 * float(x[used, 0].sum() / x[used, 1].sum())
        table.add("words", f"wrong, {name}", share(ours), share(theirs), unit="%", note=f"{used.sum()} sentences, {theirs[used, 1].sum():.0f} words")
        if of_codec:
            table.add("words", f"wrong in resynthesis, {name}", share(count(of_codec)), share(theirs), unit="%")
        drawn = rng.choice(np.flatnonzero(used), (4000, used.sum()))
        low, high = np.percentile(ours[drawn, 0].sum(1) / np.maximum(theirs[drawn, 0].sum(1), 1), [2.5, 97.5])
        ratio = float(ours[used, 0].sum() / max(theirs[used, 0].sum(), 1))
        bar = {"bar": "<= 1.3", "holds": ratio <= 1.3} if name == "all" else {}
        table.add("words", f"ours / source, {name}", ratio, note=f"95 %: {low:.2f} to {high:.2f}", **bar)
    table.figures["words"]["sentences"] = [
        {"written": s.written, "said": s.said, "ours": a.text, "source": b.text, "wrong": [int(x), int(y)]}
        for s, a, b, x, y in zip(sentences, heard, of_source, ours[:, 0], theirs[:, 0])
    ]


def codec(table: Table, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    from codec import mel_filters

    mel = mel_filters(fft=1024).numpy()
    each = [tools.likeness(source.astype(np.float64), made.astype(np.float64), RATE, mel) for source, made in pairs]
    mean = {name: float(np.mean([e[name] for e in each])) for name in each[0]}
    table.add("codec", "PESQ, wide-band", mean["pesq"], bar=">= 2.5", holds=mean["pesq"] >= 2.5, note=f"lowest {min(e['pesq'] for e in each):.2f}; {len(pairs)} plain sentences")
    table.add("codec", "STOI", mean["stoi"], bar=">= 0.90", holds=mean["stoi"] >= 0.9, note=f"lowest {min(e['stoi'] for e in each):.3f}")
    table.add("codec", "mel distance", mean["mel_db"], unit="dB")


def pitch(table: Table, ours: list[np.ndarray], source: list[np.ndarray]) -> None:
    a, b = tools.pitch(ours, RATE), tools.pitch(source, SOURCE_RATE)
    table.against("pitch", "share of voiced steps", 100 * a["voiced_share"], 100 * b["voiced_share"], "%", 0.15)
    table.against("pitch", "F0 range (5th to 95th)", a["f0_range_hz"], b["f0_range_hz"], "Hz", 0.15)
    for name, key in (("5th percentile", "f0_5_hz"), ("median", "f0_50_hz"), ("95th percentile", "f0_95_hz")):
        table.against("pitch", f"F0, {name}", a[key], b[key], "Hz")
    a, b = tools.loudness(ours, RATE), tools.loudness(source, SOURCE_RATE)
    table.add("loudness", "deviation over sentences", a["deviation_lu"], b["deviation_lu"], "<= 2 LU", a["deviation_lu"] <= 2, "LU")
    table.add("loudness", "5th to 95th percentile", a["spread_lu"], b["spread_lu"], unit="LU")
    table.add("loudness", "mean", a["mean_lufs"], b["mean_lufs"], unit="LUFS")


def ends(table: Table, sentences: list[Sentence], ours: list[np.ndarray], source: list[np.ndarray], heard: list[tools.Heard], of_source: list[tools.Heard]) -> None:
    def measure(waves, rate, found):
        word = np.array([end if (end := tools.last_word_end(s.said, h)) is not None else np.nan for s, h in zip(sentences, found)])
        spans = np.array([tools.span(wave, rate) for wave in waves])
        length = np.array([len(wave) / rate for wave in waves])
        return length - word, length - spans[:, 1], spans[:, 1] - spans[:, 0]

    (after, silence, length), (source_after, source_silence, source_length) = measure(ours, RATE, heard), measure(source, SOURCE_RATE, of_source)
    late, cut = np.flatnonzero(after > 0.5), [i for i, wave in enumerate(ours) if tools.is_cut(wave, RATE)]
    stretch = length / source_length
    strange = np.flatnonzero((stretch > 1.5) | (stretch < 0.67))
    named = lambda at: "; ".join(sentences[i].written for i in at[:3])
    table.add("ends", "> 0.5 s after the last word", len(late), int((source_after > 0.5).sum()), "0", len(late) == 0, note=named(late))
    table.add("ends", "nothing heard", int(np.isnan(after).sum()), int(np.isnan(source_after).sum()))
    table.add("ends", "after the last word, median", float(np.nanmedian(after)), float(np.nanmedian(source_after)), unit="s", note=f"longest {np.nanmax(after):.2f} s")
    table.add("ends", "silence at the end, median", float(np.median(silence)), float(np.median(source_silence)), unit="s", note=f"longest {silence.max():.2f} s")
    table.add("ends", "cut", len(cut), sum(tools.is_cut(wave, SOURCE_RATE) for wave in source), "0", not cut, note=named(cut))
    table.add("ends", "length, ours / source, median", float(np.median(stretch)), note=f"{stretch.min():.2f} to {stretch.max():.2f}")
    table.add("ends", "length > 1.5 or < 0.67 of source", len(strange), bar="0", holds=len(strange) == 0, note=named(strange))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="model folder, or for `--parts codec` one with config.json and model.safetensors of code2wav alone")
    parser.add_argument("--calliope", default=str(HOME / "build/release/calliope"), help="the program")
    parser.add_argument("--quantizer", default=str(Path(__file__).with_name("quantizer.pt")), help="the codec's encoder")
    parser.add_argument("--count", type=int, default=SENTENCES, help="of the sentences, a quarter with numbers")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--threads", type=int, help="of the server (default: all cores)")
    parser.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "calliope-eval-voice"), help="keeps the source's speech and what was heard of it")
    parser.add_argument("--save", help="folder for ours as WAV files")
    parser.add_argument("--out", help="JSON file for the figures")
    a = parser.parse_args()
    parts = a.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts knows {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    if not 4 <= a.count <= SENTENCES:
        parser.error(f"--count goes from 4 to {SENTENCES}")
    sentences, source = held_out(a.count), Source(a.work)
    made: list[tuple[np.ndarray, np.ndarray]] = []
    if "codec" in parts or "words" in parts:
        try:
            found = load_codec(a.model, a.quantizer)
            made = [source.resynthesis(s, found) for s in sentences if s.kind == "plain" or "words" in parts]
        except ValueError as error:
            print(f"codec: left out, because {error}")
    if parts != ["codec"]:
        calliope = Calliope(a.calliope, a.model, a.threads)
        with calliope.server:
            calliope.say("Hello.")
            spoken = [calliope.say(s.written) for s in sentences]
            streamed = [calliope.say(s.written, stream_format="sse") for s in sentences[-STREAMED:]] if "streamed" in parts else []
        ours = [speech.wave for speech in spoken]
        if a.save:
            os.makedirs(a.save, exist_ok=True)
            for i, wave in enumerate(ours):
                soundfile.write(os.path.join(a.save, f"{i:03}.wav"), wave, RATE)
        if silent := [s.written for s, wave in zip(sentences, ours) if not len(wave)]:
            raise SystemExit(f"no sound for {len(silent)} sentences: {silent[:3]}")
        heard = tools.transcribe(ours, RATE) if {"words", "ends"} & set(parts) else []
        theirs = [source.say(s) for s in sentences] if {"words", "ends", "pitch"} & set(parts) else []
    table = Table()
    for part in parts:
        if part == "words":
            words(table, sentences, source, heard, [resynthesis for _, resynthesis in made])
        elif part == "codec" and made:
            codec(table, [pair for s, pair in zip(sentences, made) if s.kind == "plain"])
        elif part == "pitch":
            pitch(table, ours, theirs)
        elif part == "ends":
            ends(table, sentences, ours, theirs, heard, source.heard(sentences))
        elif part == "streamed":
            same = sum(np.array_equal(x.wave, y.wave) for x, y in zip(spoken[-STREAMED:], streamed))
            table.add("streamed", "identical to the whole", same, bar=f"{len(streamed)}", holds=same == len(streamed))
        elif part == "speed":
            table.add("speed", "real-time factor, median", float(np.median([s.last_s / (len(s.wave) / RATE) for s in spoken])), bar="<= 0.3")
            table.add("speed", "first samples, median", 1000 * float(np.median([s.first_s for s in spoken])), bar="<= 60 ms", unit="ms")
    if a.out:
        Path(a.out).write_text(json.dumps({"model": a.model, "sentences": len(sentences), **table.figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
