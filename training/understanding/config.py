"""Sizes of calliope-nano's understanding half, under the names of transformers' qwen3_omni_moe configuration."""

AUDIO = {
    "model_type": "qwen3_omni_moe_audio_encoder", "num_mel_bins": 128, "encoder_layers": 7, "encoder_attention_heads": 4,
    "encoder_ffn_dim": 736, "d_model": 192, "activation_function": "gelu", "max_source_positions": 1500, "n_window": 50,
    "output_dim": 256, "n_window_infer": 800, "conv_chunksize": 500, "downsample_hidden_size": 48,
}
VISION = {
    "model_type": "qwen3_omni_moe_vision_encoder", "depth": 8, "hidden_size": 128, "hidden_act": "gelu_pytorch_tanh",
    "intermediate_size": 512, "num_heads": 4, "in_channels": 3, "patch_size": 8, "spatial_merge_size": 2,
    "temporal_patch_size": 2, "out_hidden_size": 256, "num_position_embeddings": 256, "deepstack_visual_indexes": [2],
}
TEXT = {
    "model_type": "qwen3_omni_moe_text", "vocab_size": 1040, "hidden_size": 256, "intermediate_size": 768,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "hidden_act": "silu",
    "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [12, 10, 10],
                        "interleaved": True, "mrope_interleaved": True},
    "attention_bias": False, "num_experts": 0, "num_experts_per_tok": 1, "decoder_sparse_step": 1, "mlp_only_layers": [],
    "moe_intermediate_size": 768, "norm_topk_prob": True,
}
MIN_PIXELS, MAX_PIXELS = 64 * 64, 5120
EMBEDDING_SEED, EMBEDDING_STD = 20261123, 0.05


def embedding_table():
    """The token embeddings [vocab, hidden]: drawn once and frozen, so that thinker and talker can train apart."""
    import torch

    generator = torch.Generator().manual_seed(EMBEDDING_SEED)
    return torch.randn(TEXT["vocab_size"], TEXT["hidden_size"], generator=generator) * EMBEDDING_STD
