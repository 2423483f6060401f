"""Stage `score_heard`: compares the tones that the encoder finds in held-out loops with the score.

Tones are compared in the model's own terms: notes, and the oscillators that sound them (partials).
The peaks of two spectra, which `evaluate` compares, also depend on phases and on drums.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from loopwright.model.pocket.layers import FINE_HOP
from loopwright.model.pocket.model import PocketModel, load_pocket_from
from loopwright.model.pocket.tones import Tones, decode_controls
from training.evaluate import Row, mean, read, table
from training.kinds import KINDS
from training.loops import draw_loop, loop_controls
from training.measures import FAINTEST, FAINTEST_SHARE
from training.stage import STATE
from training.takes import encode
from training.tone_codec import as_logits, decoder_targets

NEAR = 2
"""Oscillators to either side (33 cents) at which a partial counts as found."""
MAY_BE_FAINT = 0.2
"""Share of the threshold of partials at which one still counts as found."""


def share_found(amplitude: Tensor, there: Tensor) -> float:
    """Measure the share of amplitude that is at places marked 1; both [steps, numbers]."""
    return float((amplitude * there).sum() / amplitude.sum().clamp(min=1e-9))


def partials(amplitude: Tensor, share: float = 1.0) -> Tensor:
    """Set amplitudes that do not count as partials to 0.

    Args:
        amplitude: [steps, oscillators].
        share: Factor on the threshold.

    Returns:
        The shape of ``amplitude``.
    """
    loudest = amplitude.amax(-1, keepdim=True)
    return amplitude * (amplitude > share * torch.clamp(FAINTEST_SHARE * loudest, min=FAINTEST))


def around(amplitude: Tensor) -> Tensor:
    """Mark oscillators near those that are not 0 with 1."""
    return F.max_pool1d((amplitude > 0).float(), 2 * NEAR + 1, 1, NEAR)


def compared(score: tuple[Tensor, Tensor], heard: tuple[Tensor, Tensor]) -> Row:
    """Compare a score with what was heard.

    Args:
        score: Amplitudes of notes, [steps, NOTES], and of oscillators, [steps, oscillators].
        heard: The same, from the encoder.
    """
    (notes, sounding), (heard_notes, heard_sounding) = score, heard
    return {
        "notes' recall": share_found(notes, heard_notes > 0),
        "notes' precision": share_found(heard_notes, notes > 0),
        "partials' recall": share_found(
            partials(sounding), around(partials(heard_sounding, MAY_BE_FAINT))
        ),
        "partials' precision": share_found(
            partials(heard_sounding), around(partials(sounding, MAY_BE_FAINT))
        ),
    }


def amplitudes(model: PocketModel, tones: Tones) -> tuple[Tensor, Tensor]:
    """Return the amplitudes of notes and of oscillators."""
    return tones.level[0], model.tones.power(tones.level, tones.share)[0].sqrt()


@torch.inference_mode()
def main() -> None:
    """Print the table for the weights in `state/new`."""
    model = load_pocket_from(STATE / "new")
    references, rows = read("references"), {kind: list[Row]() for kind in KINDS[1:]}
    for audio, facts in zip(references.audio, references.facts, strict=True):
        if facts["kind"] == "drums":
            continue
        score = decoder_targets(
            loop_controls(draw_loop(facts["number"], facts["kind"]), audio.shape[1] // FINE_HOP)
        )
        latents = encode(model, audio).T[None] * model.latent_spread + model.latent_mean
        heard = decode_controls(model.tones.controls(latents[..., model.drum_channels :]))
        rows[facts["kind"]].append(
            compared(
                amplitudes(model, decode_controls(as_logits(score[None]))), amplitudes(model, heard)
            )
        )
    table(
        "Tones heard in held-out loops",
        {
            kind: {name: mean([row[name] for row in own]) for name in own[0]}
            for kind, own in rows.items()
        },
    )


if __name__ == "__main__":
    main()
