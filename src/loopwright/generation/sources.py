"""The source audio of a request: sent by the client, or a riff of the library.

Knows: how source audio is decoded and fitted to a plan. Does not know: HTTP, models beyond their
limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loopwright.audio.decode import INPUT_FORMATS, Decoded, decode
from loopwright.errors import InvalidInput, NotAudio, WorkerFailed
from loopwright.kinds.request import GenerationRequest
from loopwright.kinds.riff import RiffLoopRequest
from loopwright.kinds.table import KINDS, kind_of
from loopwright.library.riffs import RiffLibrary
from loopwright.planning.plan import GenerationPlan, ModelLimits, RiffUse, Source
from loopwright.planning.source import with_source
from loopwright.system.workers import Workers

DECODE_SECONDS = 30.0
CUT_SECONDS = 0.05
"""What may be left out of an upload's end with no warning: loops are often cut a little late."""


@dataclass(frozen=True)
class Upload:
    """Audio as a client sent it.

    Attributes:
        data: The file.
        name: Its name at the client's; never believed.
        field: What messages call it: the parameter or flag that it came in.
    """

    data: bytes
    name: str = ""
    field: str = "audio_file"


@dataclass(frozen=True)
class Sources:
    """What source audio comes from.

    Attributes:
        workers: The processes that decode and stretch it.
        riffs: The personal riff library.
        max_seconds: The longest audio that a client may send.
    """

    workers: Workers
    riffs: RiffLibrary
    max_seconds: float

    def check(self, request: GenerationRequest, upload: Upload | None) -> None:
        """Refuse audio that is missing or not wanted; at once, before anything is waited for.

        Raises:
            InvalidInput: The client must send audio with this request, or must not.
        """
        kind = kind_of(request)
        if upload is not None and not kind.takes_audio:
            others = [kind.name for kind in KINDS if kind.takes_audio]
            raise InvalidInput(
                f"{upload.field} has no meaning for {kind.name}, which takes no audio; "
                f"it has for {', '.join(others)}",
                field=upload.field,
            )
        if upload is None and kind.needs_audio(request):
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
        """Return the plan with its source, if it has one. Decoding takes a while.

        Raises:
            NotAudio: The upload cannot be decoded.
            TooLarge: The upload is too long, or has too many channels.
            NotFound: There is no riff in the key.
        """
        if isinstance(request, RiffLoopRequest):
            return self._with_riff(plan, request, limits)
        if upload is None:
            return plan
        decoded = self._decode(upload, limits)
        warnings = [f"{upload.field} {note}" for note in decoded.notes]
        # a seamless loop's source goes round after the loop's end
        used_samples = plan.samples if plan.tail else limits.window_samples
        used_seconds = used_samples / limits.sample_rate
        if decoded.seconds > used_seconds + CUT_SECONDS:
            warnings.append(
                f"{upload.field} is {decoded.seconds:.2f} s long; "
                f"the first {used_seconds:.2f} s of it were used"
            )
        source = Source(decoded.audio, (decoded.channels, decoded.frames))
        return with_source(plan.with_warnings(*warnings), source)

    def _decode(self, upload: Upload, limits: ModelLimits) -> Decoded:
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
        stretched = self.riffs.loop(chosen.riff, plan.bpm, limits.sample_rate, chosen.semitones)
        samples = stretched.audio.shape[1]
        laps = -(-limits.window_samples // samples)  # rounded up
        window = np.tile(stretched.audio, laps)[:, : limits.window_samples]
        riff = RiffUse(request.key, chosen.riff.filename, chosen.riff.bpm, chosen.semitones)
        plan = plan.with_warnings(*chosen.warnings, *stretched.notes)
        return with_source(plan, Source(window, (2, samples)), riff)
