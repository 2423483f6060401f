"""Where a run's source audio comes from: an upload, or a riff.

Knows: requests that have a source, and how to get at it. Does not know: HTTP, models beyond their limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loopwright.audio.decode import Decoded, decode
from loopwright.errors import InvalidInput, NotAudio, WorkerFailed
from loopwright.library.riffs import RiffLibrary
from loopwright.plan import GenerationPlan, ModelLimits, RiffUse, Source
from loopwright.planner import with_source
from loopwright.request import (
    GenerationRequest,
    GuidedLoopRequest,
    LoopRequest,
    RiffLoopRequest,
    StyleRequest,
)
from loopwright.request_edits import InpaintRequest, VariationRequest
from loopwright.workers import Workers

DECODE_SECONDS = 30.0

NEEDS_UPLOAD = (StyleRequest, GuidedLoopRequest, InpaintRequest)
TAKES_UPLOAD = (StyleRequest, LoopRequest)


@dataclass(frozen=True)
class Sources:
    """max_seconds: of an upload."""

    workers: Workers
    riffs: RiffLibrary
    max_seconds: float

    def check(self, request: GenerationRequest, upload: bytes | None) -> None:
        """Raises InvalidInput where a source is missing. At once, before anything is waited for."""
        needed = isinstance(request, NEEDS_UPLOAD)
        needed |= isinstance(request, VariationRequest) and request.source_seed is None
        if needed and upload is None:
            raise InvalidInput(
                "audio_file is missing; it must be a WAV, AIFF, FLAC, MP3 or OGG file (in JSON: audio_base64)",
                field="audio_file",
                code="missing_parameter",
            )

    def attach(
        self, plan: GenerationPlan, request: GenerationRequest, upload: bytes | None, limits: ModelLimits
    ) -> GenerationPlan:
        """The plan with its source, if it has one. Takes a while. Raises NotAudio, TooLarge, InvalidInput."""
        if isinstance(request, RiffLoopRequest):
            return self._with_riff(plan, request, limits)
        if upload is None or not isinstance(request, TAKES_UPLOAD):
            return plan
        decoded = self._decoded(upload, limits)
        return with_source(plan, Source(decoded.audio, (decoded.channels, decoded.frames)), request.style_strength)

    def _decoded(self, upload: bytes, limits: ModelLimits) -> Decoded:
        keep = float(limits.window_seconds)
        try:
            return self.workers.call(
                DECODE_SECONDS, decode, upload, limits.sample_rate, keep_seconds=keep, max_seconds=self.max_seconds
            )
        except WorkerFailed as error:
            raise NotAudio(f"audio_file could not be decoded: {error.message}", field="audio_file") from None

    def _with_riff(self, plan: GenerationPlan, request: RiffLoopRequest, limits: ModelLimits) -> GenerationPlan:
        assert plan.bpm is not None
        key = request.key.name
        riff, semitones = self.riffs.choose(key, plan.seed, transpose=request.transpose)
        loop = self.riffs.loop(riff, plan.bpm, limits.sample_rate, semitones)
        laps = -(-limits.window_samples // loop.shape[1])
        source = Source(np.tile(loop, laps)[:, : limits.window_samples], (2, loop.shape[1]))
        return with_source(plan, source, request.style_strength, RiffUse(key, riff.filename, riff.bpm, semitones))
