"""Shapes of the voice half of calliope-nano: talker, code predictor and code2wav.

The dictionaries are what lands in config.json; every consumer reads the sizes from there.
"""

SAMPLE_RATE_HZ = 24000
FRAME_SAMPLES = 1920
CODE_GROUPS = 8
CODEBOOK_SIZE = 512
# The code group of the voice itself: 0 where there is none, else 1 + (phase * number of advances + advance - LEAST_ADVANCE) * number of
# slopes + slope. Phase where the frame begins and advance within it are in 1 / PHASES of a cycle, so that the pulses of one
# frame go on where those of the frame before it ended.
EXCITATION_GROUP = 1
PHASES = 4
LEAST_ADVANCE, MOST_ADVANCE = 22, 43  # 69 to 134 Hz
ADVANCES = MOST_ADVANCE - LEAST_ADVANCE + 1
SLOPES = (-0.173, -0.106, -0.038, 0.054, 0.125)  # in a frame, of the logarithm of the pitch
HIDDEN = 320
LEAD_FRAMES = 6  # of silence, in which the talker reads ahead: a token of text comes with every frame, and a word has several
GUIDED_LAYERS = (1, 2)  # of the talker, whose head 0 learns to look at the word being spoken (cf. 1710.08969)
RESERVED_IDS = 1024  # the reference never samples the last 1024 talker ids but codec_eos

# The voice: flite's statistical "rms"; of the free voices at hand the one an independent
# recogniser understands best among those that do not sound like a machine.
FLITE_VOICE = "rms"

_RESERVED = CODEBOOK_SIZE

CODE2WAV = {
    "model_type": "qwen3_omni_moe_code2wav",
    "codebook_size": CODEBOOK_SIZE,
    "num_quantizers": CODE_GROUPS,
    "hidden_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "intermediate_size": 768,
    "sliding_window": 24,
    "max_position_embeddings": 8000,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "layer_scale_initial_scale": 0.1,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "upsampling_ratios": [2, 2],
    "upsample_rates": [8, 5, 4, 3],
    "decoder_dim": 256,
}

TALKER = {
    "model_type": "qwen3_omni_moe_talker",
    "num_code_groups": CODE_GROUPS,
    "thinker_hidden_size": 256,
    "accept_hidden_layer": 2,
    "codec_pad_id": _RESERVED + 0,
    "codec_bos_id": _RESERVED + 1,
    "codec_eos_token_id": _RESERVED + 2,
    "codec_nothink_id": _RESERVED + 3,
    "codec_think_bos_id": _RESERVED + 4,
    "codec_think_eos_id": _RESERVED + 5,
    "speaker_id": {"calliope": _RESERVED + 16, "default": _RESERVED + 16},
    "position_id_per_seconds": 13,
    "spatial_merge_size": 2,
    "text_config": {
        "model_type": "qwen3_omni_moe_talker_text",
        "vocab_size": CODEBOOK_SIZE + RESERVED_IDS,
        "hidden_size": HIDDEN,
        "intermediate_size": 512,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "hidden_act": "silu",
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [12, 10, 10],
            "interleaved": True,
        },
        "attention_bias": False,
        "attention_dropout": 0.0,
        "sliding_window": None,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 64,
        "shared_expert_intermediate_size": 768,
        "norm_topk_prob": True,
        "router_aux_loss_coef": 0.001,
        "tie_word_embeddings": False,
    },
    "code_predictor_config": {
        "model_type": "qwen3_omni_moe_talker_code_predictor",
        "vocab_size": CODEBOOK_SIZE,
        "hidden_size": HIDDEN,
        "intermediate_size": 512,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "hidden_act": "silu",
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "sliding_window": None,
        "num_code_groups": CODE_GROUPS,
        "tie_word_embeddings": False,
    },
}

GENERATION = {
    "talker_do_sample": False,
    "talker_temperature": 0.6,
    "talker_top_k": 20,
    "talker_top_p": 0.9,
    "talker_repetition_penalty": 1.0,
    "talker_max_new_tokens": 1024,
    "talker_alignment_heads": [[layer, 0] for layer in GUIDED_LAYERS],
    "talker_reads_words": True,
    "talker_reads_sounds": True,
    "talker_lead_frames": LEAD_FRAMES,
    "talker_passage_characters": 50,
    "talker_passage_sentences": 1,
}


def voice_config() -> dict:
    """What the model's config.json holds for this half."""
    return {"talker_config": TALKER, "code2wav_config": CODE2WAV}
