"""Trains the voice half from nothing: speech data, codec, talker and code predictor, export.

  train.py --out DIR --minutes N --answers answers.txt --text-assets assets.json [--device cpu|cuda]

answers.txt holds one sentence of the domain a line. assets.json names what the understanding half
made: {"tokenizer_path", "embeddings_path", "ids": {"tts_pad_token_id", "tts_bos_token_id",
"tts_eos_token_id"}}. Every stage resumes from what it finds in DIR. Codec and talker do not need each other: once the data
is there, each can run as a process of its own with --stages codec or --stages talker. --stages predict,codec trains the codec's
code2wav on with the codes that the finished talker makes of the same speech among the true ones.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # speech is made in as many processes as there are cores
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # batches are built in processes of their own
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")  # batches are of all lengths

import torch  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # optimizer.py

import codec  # noqa: E402
import config  # noqa: E402
import pronunciations  # noqa: E402
from code2wav import Code2Wav  # noqa: E402
from definitions import apart_from, definitions, long_sentences, pieces  # noqa: E402
from english import examples, lemma_lists, number_sentences, word_lists  # noqa: E402
from export import export  # noqa: E402
from figures import figure_sentences  # noqa: E402
from speech_data import SpeechStore  # noqa: E402
from talker import Talker  # noqa: E402
from talker_batches import Examples, Text  # noqa: E402
from talker_training import load_ready, predicted_codes, train_talker  # noqa: E402
from texts import in_words, made_sentences, word_sentences  # noqa: E402
from verify import verify  # noqa: E402

MADE, NUMBERS, LISTS = 8000, 11000, 30000
LONG, LONG_SEEDS = 30000, (16, 216, 316)  # of each seed
AGAIN, FIGURES, PIECED = 30000, 40000, 16000  # definitions in other words; long texts cut into pieces, beside all examples
LONGEST = 112  # characters
LONGEST_FRAMES = 220
ALWAYS = ("answer", "word")  # said whatever the share of the texts
CPU_SHARE = 1 / 7
SOUND_FRAMES = 12.5 * 3600 * 10  # that the codec learns from
HELD_OUT = 60
WRITTEN = 0.06  # of the words stay as they are written
# Of the utterances the talker sees: all kinds, then mostly what it will say. Of the answers kept back it sees some too, so that
# they check nothing here.
SHARES = {"definition": 0.22, "long": 0.15, "answer": 0.116, "answer-held": 0.004, "english": 0.11, "lemma": 0.1, "figure": 0.08, "piece": 0.08, "list": 0.06,
          "word": 0.03, "number": 0.03, "made": 0.02}  # fmt: skip
LATE_SHARES = {"answer": 0.3, "answer-held": 0.03, "definition": 0.16, "long": 0.11, "english": 0.09, "lemma": 0.06, "figure": 0.06, "piece": 0.06, "list": 0.04,
               "word": 0.04, "number": 0.03, "made": 0.02}  # fmt: skip


def answer_split(path: str) -> tuple[list[str], list[str]]:
    """Answers to train on, and answers whose wording is kept for validation."""
    answers = sorted({in_words(line.strip()) for line in open(path) if line.strip()})
    random.Random(11).shuffle(answers)
    held = min(HELD_OUT, len(answers) // 10)
    return answers[held:], answers[:held]


def all_texts(answers_path: str | None, share: float = 1.0) -> list[tuple[str, str]]:
    """(text, kind) of all that is spoken, mixed so that any beginning of it has of everything; what is kept for validation first.
    `share` of it is taken, and all of the kinds ALWAYS."""
    trained, held = answer_split(answers_path) if answers_path else ([], [])
    english, english_held = examples()
    made, numbers, figures = made_sentences(MADE + HELD_OUT), number_sentences(NUMBERS + HELD_OUT, 8), figure_sentences(FIGURES + HELD_OUT)
    defined = definitions()
    long = [text for seed in LONG_SEEDS for text in long_sentences(LONG, seed)]
    kept = {"answer-held": held, "english-held": english_held, "number-held": numbers[:HELD_OUT], "made-held": made[:HELD_OUT],
            "definition-held": defined[:HELD_OUT], "long-held": long[:HELD_OUT], "figure-held": figures[:HELD_OUT]}
    kinds = {"english": english, "word": word_sentences(trained + held) if answers_path else [], "definition": defined + definitions(AGAIN, 115), "long": long,
             "list": word_lists(LISTS), "lemma": lemma_lists(), "figure": figures, "number": numbers, "made": made}
    answers = set(trained + held)
    kept |= {kind: [text for text in texts if text not in answers] for kind, texts in kept.items() if kind != "answer-held"}
    apart = [text for kind, texts in kept.items() if kind != "answer-held" for text in texts]
    kind_of: dict[str, str] = {}
    for kind, texts in kinds.items():
        for text in texts:
            if len(text) <= LONGEST and text not in answers:
                kind_of.setdefault(text, kind)
    kind_of = {text: kind_of[text] for text in apart_from(apart, list(kind_of))}
    cut = [text for text, kind in kind_of.items() if kind in ("long", "definition", "figure")]
    cut = random.Random(55).sample(cut, min(PIECED, len(cut))) + [text for text, kind in kind_of.items() if kind == "english"]
    kind_of = dict.fromkeys(apart_from(apart, pieces(cut)), "piece") | kind_of | dict.fromkeys(trained, "answer")
    mixed = sorted(kind_of.items())
    random.Random(12).shuffle(mixed)
    mixed = [(text, kind) for k, (text, kind) in enumerate(mixed) if kind in ALWAYS or k < share * len(mixed)]
    return [(text, kind) for kind, texts in kept.items() for text in texts] + mixed


def loaded(model: torch.nn.Module, folder: str, name: str) -> torch.nn.Module:
    """The averaged weights in a training's file."""
    model.load_state_dict(torch.load(os.path.join(folder, name), map_location="cpu")["ema"])
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--minutes", type=float, default=90, help="training time in all, data aside")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="that say texts and make codes of them")
    parser.add_argument("--texts", type=float, metavar="SHARE", help="of all texts that are said; else all for a GPU, a seventh for a CPU")
    parser.add_argument("--answers")
    parser.add_argument("--questions", help="one user turn a line, spoken to the talker before the answers")
    parser.add_argument("--text-assets")
    parser.add_argument("--code2wav-minutes", type=float, help="length of code2wav's learning-rate schedule")
    parser.add_argument("--adversarial", action=argparse.BooleanOptionalAction, help="code2wav against discriminators; else on a GPU only")
    parser.add_argument("--start", help="talker.pt of another voice to start from")
    parser.add_argument("--start-code2wav", help="code2wav.pt to start from")
    parser.add_argument("--talker-out", help="folder of the talker, if not --out")
    parser.add_argument("--beside", help="--talker-out of another training of the talker, to share with what is learnt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--talker-minutes", type=float, help="length of the talker's learning-rate schedule")
    parser.add_argument("--late", action="store_true", help="the talker's last part: mostly the domain's answers, none kept back")
    parser.add_argument("--rate", type=float, help="the talker's highest learning rate")
    parser.add_argument("--shares", help="of the utterances the talker sees: KIND=SHARE,...")
    parser.add_argument("--stages", default="data,codec,talker,export")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    if a.device == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    os.makedirs(a.out, exist_ok=True)
    stages = a.stages.split(",")

    store = SpeechStore(os.path.join(a.out, "speech"))
    if "data" in stages:
        store.add(all_texts(a.answers, a.texts or (1.0 if a.device == "cuda" else CPU_SHARE)), SOUND_FRAMES, a.processes)
    codes = codec.encode_store(store, codec.fit_quantizer(store, os.path.join(a.out, "quantizer.pt")), os.path.join(a.out, "codes.pt"), a.processes)
    both = "codec" in stages and "talker" in stages
    text = Text(**load_ready(a.text_assets)) if a.text_assets else None
    if text:
        text.table = text.table.to(a.device)
    talker_folder, predicted_path = a.talker_out or a.out, os.path.join(a.out, "predicted.pt")
    items = [i for i in store.items if i["start"] + i["frames"] <= len(codes) and i["frames"] <= LONGEST_FRAMES]
    questions = [text.encode(line.strip()) for line in open(a.questions)] if text and a.questions else []
    asked = lambda said: questions or [said.of(i)[0].tolist() for i in range(len(said.kinds))]  # noqa: E731
    if "predict" in stages:
        heard = Examples(pronunciations.respelled([i for i in items if i["sound"] is not None], WRITTEN), codes, text)
        talker = loaded(Talker(config.TALKER), talker_folder, "talker.pt").to(a.device)
        predicted = predicted_codes(talker, text, heard, asked(heard), codes)
        print("groups guessed right:", (predicted == codes)[: store.sound_end].float().mean(0).numpy().round(3))
        torch.save(predicted, predicted_path)
    if "codec" in stages:
        part = a.minutes * (0.45 if both else 1)
        predicted = torch.load(predicted_path) if os.path.exists(predicted_path) else None
        codec.train_code2wav(store, codes, a.out, part, a.code2wav_minutes or part, a.device, a.start_code2wav, a.adversarial, predicted)
    if "talker" in stages:
        shares = LATE_SHARES if a.late else SHARES
        if a.shares:
            shares = {kind: float(share) for kind, share in (part.split("=") for part in a.shares.split(","))}
        used = pronunciations.respelled([i for i in items if i["kind"] in shares], WRITTEN)
        trained = Examples(used, codes, text)
        number = Counter(i["kind"] for i in used)
        weights = [shares[i["kind"]] / number[i["kind"]] for i in used]
        kept = [i for i in items if i["kind"].endswith("held") and i["kind"] not in shares]
        held = Examples(pronunciations.respelled(kept), codes, text)
        minutes = a.minutes * (0.55 if both else 1)
        os.makedirs(talker_folder, exist_ok=True)
        train_talker(trained, weights, held, asked(trained), text, talker_folder, minutes, a.talker_minutes or minutes, a.device,
                     start=a.start, beside=a.beside, seed=a.seed, peak_rate=a.rate)
    if "export" in stages:
        text.table = text.table.cpu()
        code2wav, talker = loaded(Code2Wav(config.CODE2WAV), a.out, "code2wav.pt"), loaded(Talker(config.TALKER), talker_folder, "talker.pt")
        export(talker, code2wav, a.out)
        sentences = [text.encode(i["text"]) for i in store.items if i["kind"].endswith("held")][:8]
        verify(talker, code2wav, text, sentences, text.user_turn(text.encode("Hello")))


if __name__ == "__main__":
    main()
