"""Where a run's source audio comes from: an upload, or a riff.

Knows: requests that have a source, and how to get at it. Does not know: HTTP, models beyond their limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from loopwright.audio.decode import INPUT_FORMATS, Decoded, decode
from loopwright.errors import InvalidInput, NotAudio, WorkerFailed
from loopwright.kinds.planner import with_source
from loopwright.kinds.request import (
    GenerationRequest,
    GuidedLoopRequest,
    LoopRequest,
    RiffLoopRequest,
    StyleRequest,
)
from loopwright.kinds.request_edits import InpaintRequest, VariationRequest
from loopwright.library.riffs import RiffLibrary
from loopwright.planning.plan import GenerationPlan, ModelLimits, RiffUse, Source
from loopwright.system.workers import Workers

DECODE_SECONDS = 30.0
CUT_SECONDS = 0.05
"""What is left out of an upload's end without a word: a loop is often cut a little late."""

NEEDS_UPLOAD = (StyleRequest, GuidedLoopRequest, InpaintRequest)
TAKES_UPLOAD = (StyleRequest, LoopRequest)


def takes_upload(kind: type[GenerationRequest]) -> bool:
    """Return whether requests of a kind may come with audio: all but plain text, riffs and stacks."""
    return issubclass(kind, TAKES_UPLOAD) and not issubclass(kind, RiffLoopRequest)


@dataclass(frozen=True)
class Upload:
    """Audio as a client sent it.

    Args:
        data: the file.
        name: its name at the client's; never believed.
        field: what messages call it: the parameter or flag that it came in.
    """

    data: bytes
    name: str = ""
    field: str = "audio_file"


@dataclass(frozen=True)
class Sources:
    """max_seconds: of an upload."""

    workers: Workers
    riffs: RiffLibrary
    max_seconds: float

    def check(self, request: GenerationRequest, upload: Upload | None) -> None:
        """Raises InvalidInput where a source is missing. At once, before anything is waited for."""
        needed = isinstance(request, NEEDS_UPLOAD)
        needed |= isinstance(request, VariationRequest) and request.source_seed is None
        if needed and upload is None:
            raise InvalidInput(
                f"audio_file is missing; it must be a {INPUT_FORMATS} file (in JSON: audio_base64)",
                field="audio_file",
                code="missing_parameter",
            )

    def attach(
        self,
        plan: GenerationPlan,
        request: GenerationRequest,
        upload: Upload | None,
        limits: ModelLimits,
    ) -> GenerationPlan:
        """The plan with its source, if it has one. Takes a while. Raises NotAudio, TooLarge, InvalidInput."""
        if isinstance(request, RiffLoopRequest):
            return self._with_riff(plan, request, limits)
        if upload is None or not isinstance(request, TAKES_UPLOAD):
            return plan
        decoded = self._decoded(upload, limits)
        used = Fraction(plan.samples if plan.tail else limits.window_samples, limits.sample_rate)
        warnings = [f"{upload.field} {note}" for note in decoded.notes]
        if decoded.seconds > used + CUT_SECONDS:
            warnings.append(
                f"{upload.field} is {decoded.seconds:.2f} s long; the first {float(used):.2f} s of it were used"
            )
        plan = replace(plan, warnings=(*plan.warnings, *warnings))
        return with_source(
            plan, Source(decoded.audio, (decoded.channels, decoded.frames)), request.style_strength
        )

    def _decoded(self, upload: Upload, limits: ModelLimits) -> Decoded:
        try:
            return self.workers.call(
                DECODE_SECONDS,
                decode,
                upload.data,
                limits.sample_rate,
                keep_seconds=float(limits.window_seconds),
                max_seconds=self.max_seconds,
                field=upload.field,
            )
        except WorkerFailed as error:
            raise NotAudio(
                f"{upload.field} could not be decoded: {error.message}", field=upload.field
            ) from None

    def _with_riff(
        self, plan: GenerationPlan, request: RiffLoopRequest, limits: ModelLimits
    ) -> GenerationPlan:
        assert plan.bpm is not None
        chosen = self.riffs.choose(request.key, plan.seed, transpose=request.transpose)
        loop = self.riffs.loop(chosen.riff, plan.bpm, limits.sample_rate, chosen.semitones)
        laps = -(-limits.window_samples // loop.audio.shape[1])
        source = Source(
            np.tile(loop.audio, laps)[:, : limits.window_samples], (2, loop.audio.shape[1])
        )
        plan = replace(plan, warnings=(*plan.warnings, *chosen.warnings, *loop.notes))
        used = RiffUse(request.key, chosen.riff.filename, chosen.riff.bpm, chosen.semitones)
        return with_source(plan, source, request.style_strength, used)
