"""What every contender is asked: the same music, in the words of each.

Knows: the server's endpoints and fields, the reference driver's request.
Does not know: how either is run.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SAMPLE_RATE = 44_100
WINDOW_SAMPLES = 524_288
BPM, BARS = 140, 4
LOOP_SAMPLES = round(BARS * 4 * 60 / BPM * SAMPLE_RATE)

PROMPT = "aggressive techno drums 140bpm"
NEGATIVE_PROMPT = "melody, vocals, piano"
SEED, STEPS = 7, 8
STYLE_STRENGTH = 0.8


@dataclass(frozen=True)
class Scenario:
    """A request that contenders are timed at. samples: length of its audio."""

    name: str
    title: str
    endpoint: str
    samples: int
    cfg_scale: float = 1.0
    negative_prompt: str | None = None
    style_strength: float | None = None

    @property
    def is_loop(self) -> bool:
        """Whether a loop is asked for, or the whole window."""
        return self.samples == LOOP_SAMPLES

    @property
    def rows(self) -> int:
        """Rows that the denoiser evaluates per step: two with classifier-free guidance."""
        return 1 if self.cfg_scale == 1 else 2

    def fields(self, *, steps: int = STEPS, as_made: bool = False) -> dict[str, object]:
        """Return the server's request.

        Args:
            steps: Of the sampler.
            as_made: Whether to leave out the postprocessing that the reference does not have;
                never where the request is timed.
        """
        said: dict[str, object] = {
            "prompt": PROMPT,
            "steps": steps,
            "seed": SEED,
            "cfg_scale": self.cfg_scale,
        }
        if self.is_loop:
            said |= {"bars": BARS}
        if self.negative_prompt is not None:
            said |= {"negative_prompt": self.negative_prompt}
        if self.style_strength is not None:
            said |= {"style_strength": self.style_strength}
        if as_made:
            said |= {"normalize": "none", "bit_depth": 32}
        if as_made and self.is_loop:
            said |= {"seamless": False, "align": False}
        return said

    def for_reference(
        self, source: Path, save: Path | None, *, steps: int = STEPS
    ) -> dict[str, object]:
        """Return the request to the reference's driver.

        Args:
            source: The audio of a style transfer.
            save: A file for the audio.
            steps: Of the sampler.
        """
        return {
            "prompt": PROMPT,
            "negative_prompt": self.negative_prompt,
            "steps": steps,
            "cfg_scale": self.cfg_scale,
            "seed": SEED,
            "samples": self.samples,
            "init_audio": None if self.style_strength is None else str(source),
            "init_noise_level": self.style_strength,
            "save": None if save is None else str(save),
        }


TEXT_LOOP = Scenario(
    "text-loop",
    "text loop, 4 bars at 140 bpm, 8 steps, cfg_scale 1",
    "/generate/loop",
    LOOP_SAMPLES,
)
NEGATIVE = Scenario(
    "negative-prompt",
    "the same, cfg_scale 6 and a negative prompt",
    "/generate/loop",
    LOOP_SAMPLES,
    cfg_scale=6.0,
    negative_prompt=NEGATIVE_PROMPT,
)
WHOLE_WINDOW = Scenario(
    "whole-window",
    "text, the whole window of 11.9 s, 8 steps, cfg_scale 1",
    "/generate",
    WINDOW_SAMPLES,
)
STYLE_TRANSFER = Scenario(
    "style-transfer",
    "style transfer of 4 bars, strength 0.8, the whole window, 8 steps, cfg_scale 1",
    "/generate/style-transfer",
    WINDOW_SAMPLES,
    style_strength=STYLE_STRENGTH,
)
SCENARIOS = (TEXT_LOOP, NEGATIVE, WHOLE_WINDOW, STYLE_TRANSFER)


def write_source(path: Path) -> Path:
    """Write the source of style transfers: noise bursts and falling tones on every beat."""
    beat = np.arange(LOOP_SAMPLES // 16) / SAMPLE_RATE
    noise = np.random.default_rng(SEED).standard_normal((2, len(beat)))
    kick = np.sin(2 * np.pi * (50 * beat + 6 * (1 - np.exp(-30 * beat)))) * np.exp(-8 * beat)
    audio = np.tile(0.5 * kick + 0.05 * noise * np.exp(-40 * beat), 16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((audio.T * 32767).astype("<i2").tobytes())
    return path
