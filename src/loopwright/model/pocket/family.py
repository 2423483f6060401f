"""The embedded model's row in the table of model families."""

from __future__ import annotations

from loopwright.model.family import Defaults, LoadedModel, LoadRequest, ModelFamily

NAME = "pocket"

DEFAULT_BPM = 120
"""The tempo where a request names none."""

LIMITATIONS = (
    "pocket is a small model, made to work anywhere: drums, basses, chords and melodies of plain "
    "synthesiser sounds; no voices, no recorded instruments",
    "pocket knows some 200 words (genres, instruments, drums, moods, keys); warnings name the "
    "words that it leaves out",
)


def load(request: LoadRequest) -> LoadedModel:
    """Load the embedded model on the requested device.

    Raises:
        CheckpointError: A file in the package is incomplete.
    """
    import torch

    from loopwright.model.checkpoint import weight_bytes
    from loopwright.model.pocket.model import load_pocket

    model = load_pocket().to(torch.device(request.backend.device))
    return LoadedModel(model, request.backend, weight_bytes(model), architecture=NAME)


POCKET = ModelFamily(
    name=NAME,
    matches=lambda source: source == NAME,
    load=load,
    # a low scale is best; docs/pocket-evaluation.md measures the model with these
    defaults={"rectified_flow": Defaults(steps=12, max_steps=250, cfg_scale=2.0, bpm=DEFAULT_BPM)},
    limitations=LIMITATIONS,
    is_built_in=True,
)
