"""Tokenizers, nasty strings and what the `tokenizers` library makes of them -> tests/fixtures/tokenizer.

usage: make_tokenizer_fixtures.py [--nano TOKENIZER_JSON] [--out FOLDER]

strings.bin      strings, each a varint length and UTF-8
NAME.json        a tokenizer
NAME.bin         per string: varint flags, ids, then what the flags say
                   1: other ids when special tokens are text     4: decode(ids) is not the string, but follows
                   2: decode without special differs and follows
runs.json        long runs of one text: how many ids and their FNV-1a hash
A list of ids is a varint count and varint ids; a text a varint length and UTF-8.
"""

import argparse
import json
import random
import shutil
import unicodedata
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and she'll say it's what they've wanted.",
    "Calliope hears, sees, reads and answers aloud; what time is it in Tokyo at 10:45?",
    "def encode(text: str) -> list[int]:\n    return [self.vocab[t] for t in split(text)]\n",
    "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Zürich\", \"unit\": \"celsius\"}}",
    "Großmütter äßen übrigens öfter Käse; où êtes-vous allés, mon cher garçon? ¿Dónde está la niña?",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Привет, мир!",
    "今天天气很好，我们去公园散步吧。你好，世界！人工智能正在改变我们的生活。",
    "日本語の文章もトークンに分けられます。こんにちは、世界。カタカナとひらがな。",
    "안녕하세요 세계! 한국어 문장도 잘 나누어집니다. 대한민국 서울특별시",
    "नमस्ते दुनिया, यह एक परीक्षण वाक्य है। தமிழ் மொழி สวัสดีชาวโลก שלום עולם مرحبا بالعالم",
    "Ελληνικά: η γρήγορη αλεπού. Tiếng Việt có nhiều dấu: được, những, trường, Nguyễn.",
    "😀 😃 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️ ∑∫√≠≤ → ⇒ ① ② Ⅻ ½ ² ٣ ४",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|audio_pad|>"]
PLAIN = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
VARIANTS = [
    AddedToken("<L>", lstrip=True, normalized=False, special=True),
    AddedToken("<R>", rstrip=True, normalized=False, special=True),
    AddedToken("<LR>", lstrip=True, rstrip=True, normalized=False),
    AddedToken("word", single_word=True, normalized=False),
    AddedToken("wörd", single_word=True, normalized=True),
    AddedToken("<W>", single_word=True, lstrip=True, rstrip=True, normalized=False, special=True),
    AddedToken("cafe\u0301", normalized=True),
    AddedToken("nor\u0301m\u0301", normalized=False),
    AddedToken("<n>", lstrip=True, rstrip=True, normalized=True, special=True),
    AddedToken("<a", normalized=False),
    AddedToken("<ab", normalized=False, special=True),
    AddedToken("<ab>", normalized=False),
    AddedToken("ab>c", normalized=False),
    AddedToken(">c>", normalized=True),
    AddedToken("日本", normalized=False),
    AddedToken("本語", normalized=True, special=True),
    AddedToken("  ", normalized=False),
    AddedToken("é", normalized=False, single_word=True),
]


def write_varint(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def write_text(out: bytearray, text: str) -> None:
    data = text.encode()
    write_varint(out, len(data))
    out += data


def write_ids(out: bytearray, ids: list[int]) -> None:
    write_varint(out, len(ids))
    for i in ids:
        write_varint(out, i)


def fnv(ids: list[int]) -> str:
    value = 0xCBF29CE484222325
    for i in ids:
        value = (value ^ i) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def trained(size: int, split, normalizer) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return tokenizer


def qwen_split():
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])


def make_tokenizers(folder: Path) -> None:
    qwen = trained(1600, qwen_split(), normalizers.NFC())
    qwen.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    qwen.add_tokens([AddedToken(t, normalized=False) for t in PLAIN])
    qwen.save(str(folder / "qwen.json"), pretty=False)

    # Merges as "a b", GPT-2's pattern, no normalizer; merges that make the same token and one given twice.
    old = trained(900, pre_tokenizers.ByteLevel(add_prefix_space=False), None)
    data = json.loads(old.to_str())
    vocab, merges = data["model"]["vocab"], data["model"]["merges"]
    for left, right in [("z", "q"), ("q", "z"), ("zq", "z"), ("z", "qz"), ("zqz", "zq"), ("zq", "zqz"), ("zq", "zq")]:
        vocab.setdefault(left + right, len(vocab))
        merges.append([left, right])
    merges.append(merges[5])
    data["model"]["merges"] = [" ".join(pair) for pair in merges]
    old = Tokenizer.from_str(json.dumps(data))
    old.add_special_tokens([AddedToken("<|endoftext|>", normalized=False, special=True)])
    saved = json.loads(old.to_str())
    saved["model"]["merges"] = data["model"]["merges"]
    (folder / "old_merges.json").write_text(json.dumps(saved, ensure_ascii=False))

    # Every kind of added token, whole words before merges.
    added = trained(700, qwen_split(), normalizers.Sequence([normalizers.NFC()]))
    data = json.loads(added.to_str())
    data["model"]["ignore_merges"] = True
    for word in ["Ġfoxes", "zebra", "\u0120\u0120\u0120", "ĠĠ", "日本"]:
        data["model"]["vocab"].setdefault(word, len(data["model"]["vocab"]))
    added = Tokenizer.from_str(json.dumps(data))
    for token in VARIANTS:
        (added.add_special_tokens if token.special else added.add_tokens)([token])
    added.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL[:3]])
    added.save(str(folder / "added.json"), pretty=False)


def classes() -> list[int]:
    """Code points on either side of every border of \\p{L}, \\p{N} and \\s."""
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    text = "\x01".join(map(chr, points))
    borders = set()
    for pattern in (r"\p{L}", r"\p{N}", r"\s"):
        inside = {ord(p[0]) for p in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)
                  if len(p[0]) == 1 and p[0] != "\x01"}
        borders |= {c for c in points if (c in inside) != (c - 1 in inside) or (c in inside) != (c + 1 in inside)}
    return sorted(borders)


def chunks(items: list[str], size: int) -> list[str]:
    return ["".join(items[i:i + size]) for i in range(0, len(items), size)]


def nasty_strings(rng: random.Random, texts: list[str]) -> list[str]:
    marks = [chr(c) for c in range(0x110000) if unicodedata.combining(chr(c))]
    # Marks Unicode got after the normalizer's tables were made, and compositions of Unicode 16.
    late = [chr(c) for c in [*range(0x1ABF, 0x1ACF), 0x897, *range(0x10EFA, 0x10F00), *range(0x1E4EC, 0x1E4F0), 0x11F41,
                             *range(0x11382, 0x11392), *range(0x113B8, 0x113CA), *range(0x16D63, 0x16D6B), 0x105D2, 0x105DA,
                             *range(0x1611E, 0x16130), 0x11930, 0x11935, 0x11938]]
    split = [chr(c) for c in range(0x110000) if unicodedata.normalize("NFD", chr(c)) != chr(c) and not 0xAC00 <= c < 0xD7A4]
    nfd = [unicodedata.normalize("NFD", c) for c in split]
    blanks = ["\t", "\n", "\v", "\f", "\r", " ", "\x85", "\xa0", "\u1680", "\u180e", *map(chr, range(0x2000, 0x2010)), "\u2028",
              "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff", "\x1c", "\x1f"]
    result = ["", " ", "\n", "\r\n", "\x00", "\x00\x00a", "\ufdd0", "\uffff", "\U0010ffff", "\ufffd\ufffd", "'", "''''", "'s's'S'ſ",
              "'LL'Ll'lL'VE'Re'D'd'M'T't'tt", "I'M you'RE", "’s", " 's", "a's 1's !'s", "\u0130'ſ\u212a", "a" * 3000, " " * 3000,
              "\n" * 1000, " \n" * 500, "\r\n" * 500, "\t \t\n" * 200, "1" * 500, "!" * 1000, "é" * 500, "e\u0301" * 500,
              "a" + "\u0301" * 300, "a" + "\u0316\u0301" * 200, "\u1100\u1161\u11a8" * 100, "😀" * 300, "👩‍👩‍👧‍👦" * 30, "ab" * 1000,
              "zq" * 300, "zqz" * 200, "zqzzqz" + "z" * 50, "Ã©Ã¨â‚¬ï¿½", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "ÿþ", "\xc3\x28", "\xf0\x9f", "日本語", "日本日本語本語",
              "ĠĠ", "Ġfoxes foxes  foxes", " zebra zebra", "\x7f\x80\x9f\xad", "<|im_start|>", "<|im_start", "|im_start|>"]
    result += chunks([f"a{chr(c)}1{chr(c)} {chr(c)}'{chr(c)}" for c in classes()], 24)
    result += chunks([f"q{m}\u0327\u0301{m}" for m in marks], 32)
    result += chunks([f"q\u0301{m}\u0316 {m}\u0301" for m in late], 8)
    result += chunks([c + d + "\u0323" for c, d in zip(split, nfd)], 40)
    result += chunks([f"{b}a{b}{b} {b}\n{b}!{b}" for b in blanks], 3)
    result += [b * n + tail for b in "\n\r \t\u3000" for n in (1, 2, 7) for tail in ("", "x", "\n", ".")]
    result += [left + text + right for text in texts for left, right in
               [(" ", " "), ("a", ""), ("", "a"), ("\n\t", "\r\n"), ("\u3000", "\xa0"), ("é", "é"), ("\u0301", "\u0301"), (text[:-1], text[1:])]]
    result += [texts[rng.randrange(len(texts))] + texts[rng.randrange(len(texts))] for _ in range(60)]
    return result


def random_string(rng: random.Random, texts: list[str], words: list[str], jamo: list[str], marks: list[str]) -> str:
    def scalar() -> str:
        c = rng.randrange(0x110000 - 0x800)
        return chr(c if c < 0xD800 else c + 0x800)

    def pick(pool, most):
        return "".join(rng.choice(pool) for _ in range(rng.randint(1, most)))

    kinds = [
        lambda: "".join(scalar() for _ in range(rng.randint(1, 8))),
        lambda: "".join(chr(rng.randrange(rng.choice([0x250, 0x3000, 0xD800]))) for _ in range(rng.randint(1, 12))),
        lambda: "".join(chr(rng.randrange(32, 127)) for _ in range(rng.randint(1, 30))),
        lambda: pick(words, 6),
        lambda: pick(words, 3).swapcase(),
        lambda: "".join(rng.choice(" \n\r\t'a1.,!\u00a0é日") for _ in range(rng.randint(1, 24))),
        lambda: "".join(rng.choice("aeocAEnsqK가ㄱ가Åกひ") + pick(marks, 4) for _ in range(rng.randint(1, 4))),
        lambda: pick(jamo, 10),
        lambda: "".join(chr(rng.choice([rng.randrange(0x4E00, 0xA000), rng.randrange(0x20000, 0x32000)])) for _ in range(rng.randint(1, 6))),
        lambda: "".join(chr(rng.choice([rng.randrange(32), rng.randrange(0x7F, 0xA1)])) for _ in range(rng.randint(1, 8))),
        lambda: rng.choice(texts),
        lambda: rng.choice(texts)[rng.randrange(3):],
        lambda: rng.choice(words) * rng.randint(2, 9),
        lambda: "".join(rng.choice(["'s", "'T", "'re", "'VE", "'m", "'ll", "'D", "'ſ", "’s"]) + rng.choice(["", " ", "x"]) for _ in range(3)),
        lambda: "".join(chr(rng.randrange(0x1F000, 0x1FB00)) + rng.choice(["", "\u200d", "\ufe0f", "\U0001f3fd"]) for _ in range(rng.randint(1, 5))),
        lambda: pick(words, 3).encode().decode("latin-1"),
        lambda: "".join(rng.choice("zq") for _ in range(rng.randint(2, 20))),
    ]
    return "".join(rng.choice(kinds)() for _ in range(rng.choice([1, 1, 1, 1, 2, 3])))


def make_strings() -> list[str]:
    rng = random.Random(20240611)
    texts = SPECIAL + PLAIN + [t.content for t in VARIANTS]
    words = [w + s for line in SENTENCES for w in line.split() for s in (" ", "", "\n")]
    jamo = [*map(chr, range(0x1100, 0x1200)), *map(chr, range(0xA960, 0xA97D)), *map(chr, range(0xD7B0, 0xD7FC)), "가", "각", "힣", "ㄱ"]
    marks = [chr(c) for c in range(0x20000) if unicodedata.category(chr(c)).startswith("M")]
    nasty = nasty_strings(rng, texts)
    assert len(nasty) >= 500
    return nasty + [random_string(rng, texts, words, jamo, marks) for _ in range(10000)]


def make_expected(tokenizer: Tokenizer, strings: list[str]) -> bytearray:
    out = bytearray()
    for text in strings:
        tokenizer.encode_special_tokens = False
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = True
        as_text = tokenizer.encode(text, add_special_tokens=False).ids
        whole, skipped = tokenizer.decode(ids, skip_special_tokens=False), tokenizer.decode(ids, skip_special_tokens=True)
        write_varint(out, (as_text != ids) | (skipped != whole) << 1 | (whole != text) << 2)
        write_ids(out, ids)
        if as_text != ids:
            write_ids(out, as_text)
        if whole != text:
            write_text(out, whole)
        if skipped != whole:
            write_text(out, skipped)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "tests/fixtures/tokenizer")
    parser.add_argument("--nano", type=Path, help="calliope-nano's tokenizer.json, to take over a new one")
    arguments = parser.parse_args()
    folder = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    make_tokenizers(folder)
    if arguments.nano:
        shutil.copyfile(arguments.nano, folder / "nano.json")
    strings = make_strings()
    data = bytearray()
    for text in strings:
        write_text(data, text)
    (folder / "strings.bin").write_bytes(data)
    runs = []
    for name in ("qwen", "old_merges", "added", "nano"):
        tokenizer = Tokenizer.from_file(str(folder / f"{name}.json"))
        (folder / f"{name}.bin").write_bytes(make_expected(tokenizer, strings))
        tokenizer.encode_special_tokens = False
        for text, count in [("a", 1_000_000), (" ", 1_000_000), ("😀", 250_000), ("\n", 300_000), ("1", 300_000), ("e\u0301", 200_000),
                            (" the", 200_000), ("<|im_end|>", 50_000), ("ab ", 200_000)]:
            ids = tokenizer.encode(text * count, add_special_tokens=False).ids
            runs.append({"tokenizer": name, "text": text, "count": count, "ids": len(ids), "hash": fnv(ids)})
    (folder / "runs.json").write_text(json.dumps(runs, indent=0) + "\n")
    print(len(strings), "strings;", sum(f.stat().st_size for f in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
