"""What tells code2wav's speech from real speech while it is trained; no part of the model.

Multi-scale STFT discriminators (EnCodec, 2210.13438) look at complex spectra of four sizes, period discriminators (HiFi-GAN,
2010.05646) at every second, third, ... eleventh sample. Both are narrower than those of the papers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

STFT_SIZES = (2048, 1024, 512, 256)  # samples
PERIODS = (2, 3, 5, 7, 11)  # samples


def half_precision(x: torch.Tensor):
    """bfloat16 on a GPU, float32 elsewhere."""
    return torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda)


class Discriminator(nn.Module):
    """Convolutions over an image [B, C, H, W] made of the sound: scores [B, 1, H', W'], and what each layer saw."""

    def __init__(self, layers: list[nn.Module], last: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList([weight_norm(layer) for layer in layers])
        self.last = weight_norm(last)

    def image(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """x float samples [B, T]."""
        seen, x = [], self.image(x)
        with half_precision(x):
            for layer in self.layers:
                x = F.leaky_relu(layer(x), 0.2)
                seen.append(x)
            return self.last(x), seen


class StftDiscriminator(Discriminator):
    """EnCodec's, appendix A: real and imaginary part [B, 2, T / hop, size / 2 + 1], strides in frequency, dilation in time."""

    def __init__(self, size: int, channels: int = 32):
        c = channels
        layers = [nn.Conv2d(2, c, (3, 9), padding=(1, 4))]
        layers += [nn.Conv2d(c, c, (3, 9), stride=(1, 2), dilation=(d, 1), padding=(d, 4)) for d in (1, 2, 4)]
        layers += [nn.Conv2d(c, c, 3, padding=1)]
        super().__init__(layers, nn.Conv2d(c, 1, 3, padding=1))
        self.size = size
        self.register_buffer("window", torch.hann_window(size))

    def image(self, x):
        s = torch.stft(x.float(), self.size, self.size // 4, window=self.window, normalized=True, return_complex=True)
        return torch.view_as_real(s).permute(0, 3, 2, 1)


class PeriodDiscriminator(Discriminator):
    """HiFi-GAN's, section 2.3: samples [B, 1, T / period, period], convolved along time only."""

    def __init__(self, period: int, channels: tuple[int, ...] = (1, 16, 64, 128, 128)):
        layers = [nn.Conv2d(a, b, (5, 1), (3, 1), padding=(2, 0)) for a, b in zip(channels, channels[1:])]
        super().__init__(layers, nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))
        self.period = period

    def image(self, x):
        return F.pad(x, (0, -x.shape[1] % self.period)).view(len(x), 1, -1, self.period)


class Discriminators(nn.Module):
    """All of them, and their losses; every argument is float samples [B, T]."""

    def __init__(self):
        super().__init__()
        self.all = nn.ModuleList([StftDiscriminator(n) for n in STFT_SIZES] + [PeriodDiscriminator(p) for p in PERIODS])

    def own_loss(self, made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Hinge loss, summed over the discriminators: real speech is to score above 1, made speech below -1."""
        loss = 0
        for d in self.all:
            a, b = d(real)[0], d(made.detach())[0]
            loss = loss + F.relu(1 - a.float()).mean() + F.relu(1 + b.float()).mean()
        return loss

    def losses_of(self, made: torch.Tensor, real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `made` is to minimise, each the mean over the discriminators: the negated score, and the distance of what the
        layers see in it from what they see in `real`, relative to the latter (feature matching)."""
        scores = matching = 0
        for d in self.all:
            with torch.no_grad():
                wanted = d(real)[1]
            score, seen = d(made)
            scores = scores - score.float().mean()
            apart = [(a.float() - b.float()).abs().mean() / (b.float().abs().mean() + 1e-4) for a, b in zip(seen, wanted)]
            matching = matching + sum(apart) / len(apart)
        return scores / len(self.all), matching / len(self.all)
