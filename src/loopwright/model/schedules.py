"""The times or noise levels at which a run is evaluated.

Times go from 1 (noise) to 0 (clean). Each schedule of ``steps`` has ``steps + 1`` values.
Knows: steps, noise levels, latent frames. Does not know: samplers.
"""

from __future__ import annotations

import math

import torch

LAST_LOG_SNR = 2.0
FIRST_LOG_SNR = -6.0
LOG_SNR_EPS = 1e-6
LOWEST_LOG_SNR = -12.5
"""Nearer to pure noise, single precision cannot tell one time from the next."""
BASE_SHIFT, MAX_SHIFT = 0.5, 1.15

Schedule = list[float]


def linear_times(steps: int, noise_level: float) -> Schedule:
    """Return times in equal steps from the noise level to 0."""
    return torch.linspace(noise_level, 0, steps + 1).tolist()


def log_snr_times(steps: int, noise_level: float) -> Schedule:
    """Return times from the noise level to 0 in equal steps of the log signal-to-noise ratio.

    That is log((1 - t) / t); the ends are set to the noise level and 0. Below a noise level of 0.12
    the times rise a little before they fall to 0: the reference's spacing, kept because a seed must
    keep its audio.
    """
    level_log_snr = math.log((1 - noise_level) / noise_level + LOG_SNR_EPS)
    # from pure noise, whose ratio is 0, the reference begins at a set one
    first = max(level_log_snr, LOWEST_LOG_SNR) if noise_level < 1 else FIRST_LOG_SNR
    times = torch.sigmoid(-torch.linspace(first, LAST_LOG_SNR, steps + 1))
    times[0], times[-1] = noise_level, 0
    return times.tolist()


def shifted(times: Schedule, frames: int, bounds: tuple[int, int] | None) -> Schedule:
    """Return times moved towards noise for longer latents (Esser et al. 2024, section 5.3.2).

    Args:
        times: The schedule.
        frames: The length of the latents.
        bounds: The lengths in frames that get the least and the most shift, as the model was
            trained; None: no shift.
    """
    if bounds is None:
        return times
    shortest, longest = bounds
    mu = BASE_SHIFT + (MAX_SHIFT - BASE_SHIFT) * (frames - shortest) / (longest - shortest)
    shift = math.exp(mu)
    return [shift * t / (shift * t + 1 - t) for t in times]


def exponential_sigmas(steps: int, highest: float, lowest: float) -> Schedule:
    """Return noise levels in equal ratios from the highest to the lowest, then 0."""
    ramp = torch.linspace(math.log(highest), math.log(lowest), steps)
    return [*torch.exp(ramp).tolist(), 0.0]
