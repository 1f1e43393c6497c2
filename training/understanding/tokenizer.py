"""Trains calliope-nano's byte-level BPE in the form of Qwen's tokenizer.json.

usage: python -m understanding.tokenizer OUT_DIR
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from understanding import facts

VOCABULARY = 1024
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = """<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|vision_start|> <|vision_end|>
<|vision_pad|> <|image_pad|> <|video_pad|> <|audio_start|> <|audio_end|> <|audio_pad|> <tts_pad> <tts_text_bos>
<tts_text_eod>""".split()
# Pieces of an order as JSON that are always the same, a token each: the answer is a third as long.
PIECES = ['{"intent":"orderDrink","slots":{"coffeeDrink":"', *(f'","{slot}":"' for slot in ("milkAmount", "numberOfShots", "roast", "size", "sugarAmount")), '"}}']
CHAT_TEMPLATE = """{%- for message in messages %}
    {%- if loop.first and message.role != 'system' and false %}{%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for content in message.content %}
            {%- if content.type == 'image' or 'image' in content or 'image_url' in content %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif content.type == 'audio' or 'audio' in content or 'audio_url' in content %}
                {{- '<|audio_start|><|audio_pad|><|audio_end|>' }}
            {%- elif content.type == 'video' or 'video' in content %}
                {{- '<|vision_start|><|video_pad|><|vision_end|>' }}
            {%- elif 'text' in content %}
                {{- content.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""".replace("    {%- if loop.first and message.role != 'system' and false %}{%- endif %}\n", "")


def corpus() -> list[str]:
    """Text to learn merges from: questions, answers and words."""
    rng = random.Random(0)
    lines = ["user\n", "assistant\n", "system\n"] * 400
    for _ in range(6000):
        _, asked, answer = facts.question(rng)
        lines += [asked, answer]
    lines += facts.answers() * 4 + [w for w in facts.WORDS for _ in range(3)]
    lines += (facts.PHOTO_QUESTIONS + facts.READ_QUESTIONS + facts.DIGIT_QUESTIONS) * 20
    return lines


def train() -> Tokenizer:
    """A tokenizer of VOCABULARY ids, special tokens last, as Qwen's, and PIECES after them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return with_pieces(tokenizer)


def with_pieces(tokenizer: Tokenizer) -> Tokenizer:
    """With PIECES, where an earlier one has not got them."""
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in PIECES])
    return tokenizer


def write(tokenizer: Tokenizer, out: Path) -> None:
    """tokenizer.json, tokenizer_config.json and the chat template, as on the hub."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "Qwen2TokenizerFast", "add_prefix_space": False, "add_bos_token": False,
        "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
        "clean_up_tokenization_spaces": False, "errors": "replace", "model_max_length": 4096, "split_special_tokens": False,
        "image_token": "<|image_pad|>", "audio_token": "<|audio_pad|>", "video_token": "<|video_pad|>",
        "vision_bos_token": "<|vision_start|>", "vision_eos_token": "<|vision_end|>",
        "audio_bos_token": "<|audio_start|>", "audio_eos_token": "<|audio_end|>",
        "extra_special_tokens": {
            "image_token": "<|image_pad|>", "audio_token": "<|audio_pad|>", "video_token": "<|video_pad|>",
            "vision_bos_token": "<|vision_start|>", "vision_eos_token": "<|vision_end|>",
            "audio_bos_token": "<|audio_start|>", "audio_eos_token": "<|audio_end|>",
        },
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(t)): {
                "content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": t in SPECIAL
            }
            for t in SPECIAL + PIECES
        },
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (out / "chat_template.jinja").write_text(CHAT_TEMPLATE)


if __name__ == "__main__":
    made = train()
    for word in ("user", "assistant", "system", "\n"):
        assert len(made.encode(word).ids) == 1, word
    assert made.get_vocab_size() == VOCABULARY + len(PIECES), made.get_vocab_size()
    write(made, Path(sys.argv[1]))
