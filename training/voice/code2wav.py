"""code2wav as transformers' Qwen3OmniMoeCode2Wav computes it, same parameter names, trainable fast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class SnakeFunction(torch.autograd.Function):
    """x + sin^2(a x) / b, written as x + (1 - cos(2 a x)) / 2b: one cosine forward, one sine backward."""

    @staticmethod
    def forward(ctx, x, a, inverse_b):
        c = torch.cos(x * (2 * a)).mul_(-0.5).add_(0.5)
        ctx.save_for_backward(x, c, a, inverse_b)
        return torch.addcmul(x, c, inverse_b)

    @staticmethod
    def backward(ctx, grad):
        x, c, a, inverse_b = ctx.saved_tensors
        s = torch.sin(x * (2 * a)).mul_(inverse_b).mul_(grad)
        grad_a = (s * x).sum((0, 2), keepdim=True)
        grad_b = (c.mul_(grad)).sum((0, 2), keepdim=True)
        return torch.addcmul(grad, s, a), grad_a, grad_b


class SnakeBeta(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        a = self.alpha.exp()[None, :, None]
        return SnakeFunction.apply(x, a, (1 / (self.beta.exp() + 1e-9))[None, :, None])


class CausalConv(nn.Module):
    def __init__(self, dim_in: int, dim_out: int, kernel: int, dilation: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(dim_in, dim_out, kernel, dilation=dilation, groups=groups)
        self.pad = (kernel - 1) * dilation

    def forward(self, x):
        return self.conv(F.pad(x, (self.pad, 0)) if self.pad else x)


class CausalTransConv(nn.Module):
    """Trims kernel - stride samples on both sides: (T - 1) * s outputs for kernel 2 s."""

    def __init__(self, dim_in: int, dim_out: int, kernel: int, stride: int):
        super().__init__()
        self.conv = nn.ConvTranspose1d(dim_in, dim_out, kernel, stride=stride)
        self.trim = kernel - stride

    def forward(self, x):
        x = self.conv(x)
        return x[..., self.trim : x.shape[-1] - self.trim]


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.dwconv = CausalConv(dim, dim, 7, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(0.1 * torch.ones(dim))

    def forward(self, x):
        h = self.norm(self.dwconv(x).transpose(1, 2))
        h = self.gamma * self.pwconv2(F.gelu(self.pwconv1(h)))
        return x + h.transpose(1, 2)


class RmsNorm(nn.Module):
    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def rope_tables(positions: torch.Tensor, head_dim: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """positions [..., T] -> cos, sin [..., T, head_dim], the halves equal."""
    inverse = 1.0 / theta ** (torch.arange(0, head_dim, 2, device=positions.device).float() / head_dim)
    angle = positions[..., None].float() * inverse
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Attention(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        self.heads, self.dim = c["num_attention_heads"], c["head_dim"]
        width = self.heads * self.dim
        self.q_proj = nn.Linear(c["hidden_size"], width, bias=False)
        self.k_proj = nn.Linear(c["hidden_size"], width, bias=False)
        self.v_proj = nn.Linear(c["hidden_size"], width, bias=False)
        self.o_proj = nn.Linear(width, c["hidden_size"], bias=False)

    def forward(self, x, rope, mask):
        b, t, _ = x.shape
        q, k, v = (p(x).view(b, t, self.heads, self.dim).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        y = F.scaled_dot_product_attention(rotate(q, *rope), rotate(k, *rope), v, attn_mask=mask)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class Mlp(nn.Module):
    def __init__(self, dim: int, inner: int):
        super().__init__()
        self.gate_proj = nn.Linear(dim, inner, bias=False)
        self.up_proj = nn.Linear(dim, inner, bias=False)
        self.down_proj = nn.Linear(inner, dim, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LayerScale(nn.Module):
    def __init__(self, dim: int, initial: float):
        super().__init__()
        self.scale = nn.Parameter(torch.full((dim,), initial))

    def forward(self, x):
        return self.scale * x


class Layer(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        d, eps = c["hidden_size"], c["rms_norm_eps"]
        self.self_attn = Attention(c)
        self.mlp = Mlp(d, c["intermediate_size"])
        self.input_layernorm = RmsNorm(d, eps)
        self.post_attention_layernorm = RmsNorm(d, eps)
        self.self_attn_layer_scale = LayerScale(d, c["layer_scale_initial_scale"])
        self.mlp_layer_scale = LayerScale(d, c["layer_scale_initial_scale"])

    def forward(self, x, rope, mask):
        x = x + self.self_attn_layer_scale(self.self_attn(self.input_layernorm(x), rope, mask))
        return x + self.mlp_layer_scale(self.mlp(self.post_attention_layernorm(x)))


class Transformer(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        self.c = c
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_hidden_layers"])])
        self.norm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])

    def forward(self, x):
        p = torch.arange(x.shape[1], device=x.device)
        rope = rope_tables(p, self.c["head_dim"], self.c["rope_parameters"]["rope_theta"])
        behind = p[:, None] - p[None, :]
        mask = (behind >= 0) & (behind < self.c["sliding_window"])
        for layer in self.layers:
            x = layer(x, rope, mask)
        return self.norm(x)


class ResidualUnit(nn.Module):
    def __init__(self, dim: int, dilation: int):
        super().__init__()
        self.act1 = SnakeBeta(dim)
        self.conv1 = CausalConv(dim, dim, 7, dilation)
        self.act2 = SnakeBeta(dim)
        self.conv2 = CausalConv(dim, dim, 1)

    def forward(self, x):
        return x + self.conv2(self.act2(self.conv1(self.act1(x))))


class DecoderBlock(nn.Module):
    def __init__(self, dim: int, stride: int):
        super().__init__()
        out = dim // 2
        self.block = nn.ModuleList(
            [SnakeBeta(dim), CausalTransConv(dim, out, 2 * stride, stride)] + [ResidualUnit(out, d) for d in (1, 3, 9)]
        )

    def forward(self, x):
        for module in self.block:
            x = module(x)
        return x


class Code2Wav(nn.Module):
    """codes [B, groups, T] -> samples [B, 1920 T - look-ahead]."""

    def __init__(self, c: dict):
        super().__init__()
        self.c = c
        d = c["hidden_size"]
        self.pre_transformer = Transformer(c)
        self.code_embedding = nn.Embedding(c["codebook_size"] * c["num_quantizers"], d)
        self.upsample = nn.ModuleList(
            [nn.ModuleList([CausalTransConv(d, d, f, f), ConvNeXtBlock(d)]) for f in c["upsampling_ratios"]]
        )
        dim = c["decoder_dim"]
        blocks: list[nn.Module] = [CausalConv(d, dim, 7)]
        for stride in c["upsample_rates"]:
            blocks.append(DecoderBlock(dim, stride))
            dim //= 2
        self.decoder = nn.ModuleList(blocks + [SnakeBeta(dim), CausalConv(dim, 1, 7)])

    def forward(self, codes, heard: int | None = None, seen: list | None = None, last: int | None = None):
        """For training: `heard`, only so many code groups are used; `seen` gets what goes into the decoder and what its blocks make of it,
        [B, C, steps]; `last`, only so many parts of the decoder run."""
        groups = self.c["num_quantizers"]
        offset = torch.arange(groups, device=codes.device)[:, None] * self.c["codebook_size"]
        x = self.code_embedding(codes + offset)[:, :heard].sum(1) / groups
        x = self.pre_transformer(x).transpose(1, 2)
        for up, block in self.upsample:
            x = block(up(x))
        seen = [] if seen is None else seen
        seen.append(x)
        for block in self.decoder[:last]:
            x = block(x)
            if isinstance(block, DecoderBlock):
                seen.append(x)
        return x[:, 0]
