"""Shows that transformers loads the exported voice and computes the same waveform and greedy codes."""

from __future__ import annotations

import torch

import config
from code2wav import Code2Wav
from talker import Talker
from talker_training import Text, generate, head_weight


def reference_talker(state: dict):
    from transformers.models.qwen3_omni_moe import configuration_qwen3_omni_moe as c
    from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as m

    model = m.Qwen3OmniMoeTalkerForConditionalGeneration(c.Qwen3OmniMoeTalkerConfig(**config.TALKER)).eval()
    model.load_state_dict(state, strict=True)
    return model


def reference_code2wav(state: dict):
    from transformers.models.qwen3_omni_moe import configuration_qwen3_omni_moe as c
    from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as m

    model = m.Qwen3OmniMoeCode2Wav(c.Qwen3OmniMoeCode2WavConfig(**config.CODE2WAV)).eval()
    model.load_state_dict(state, strict=True)
    return model


@torch.no_grad()
def reference_generate(model, text: Text, user: list[int], tokens: list[int], max_frames: int) -> torch.Tensor:
    """The talker half of Qwen3OmniMoeForConditionalGeneration.generate, greedy, for a turn without media."""
    c = config.TALKER
    project = lambda ids: model.text_projection(text.table[torch.tensor(ids)])[None]
    rows = project(text.prompt_rows(user, tokens[0]))
    special = [c["codec_nothink_id"], c["codec_think_bos_id"], c["codec_think_eos_id"], c["speaker_id"]["calliope"], c["codec_pad_id"], c["codec_bos_id"]]
    rows[:, -6:] += model.get_input_embeddings()(torch.tensor([special]))
    vocab, eos = c["text_config"]["vocab_size"], c["codec_eos_token_id"]
    result = model.generate(
        inputs_embeds=rows,
        trailing_text_hidden=project(tokens[1:] + [text.tts_eos]),
        tts_pad_embed=project([text.tts_pad]),
        talker_input_ids=torch.zeros(rows.shape[:2], dtype=torch.long),
        attention_mask=torch.ones(rows.shape[:2], dtype=torch.long),
        max_new_tokens=max_frames, do_sample=False, repetition_penalty=1.0, eos_token_id=eos,
        suppress_tokens=[i for i in range(vocab - 1024, vocab) if i != eos],
        output_hidden_states=True, return_dict_in_generate=True,
    )
    codes = [h[-1] for h in result.hidden_states if h[-1] is not None]
    return torch.stack(codes, 1)[0]


def verify(talker: Talker, code2wav: Code2Wav, text: Text, sentences: list[list[int]], user: list[int]) -> None:
    """Raises where the two differ. The models hold the weights as exported."""
    theirs, same = reference_talker(talker.state_dict()), 0
    their_wave = reference_code2wav(code2wav.state_dict())
    for tokens in sentences:
        mine = generate(talker, text, user, [tokens], 60)[0]
        other = reference_generate(theirs, text, user, tokens, 61)
        n = min(len(mine), len(other))
        if len(mine) != len(other) and n < 60 or not torch.equal(mine[:n], other[:n]):
            raise AssertionError(f"codes differ: {len(mine)} and {len(other)} frames")
        with torch.no_grad():
            a, b = code2wav(mine.T[None])[0].clamp(-1, 1), their_wave(mine.T[None])[0, 0]
        error = float((a - b).norm() / b.norm())
        if error > 1e-4:
            raise AssertionError(f"waveforms differ by {error:.2e}")
        same += 1
    print(f"transformers: same codes and waveform (relative error <= 1e-4) on {same} sentences")
