"""The Python library: loops made in this process, as arrays and files.

Knows: parameters as Python gives them, and what comes back. Does not know: how a loop is made.
"""

from __future__ import annotations

import atexit
import functools
import io
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
import soundfile
import structlog
from anyio.from_thread import start_blocking_portal
from numpy.typing import ArrayLike

from loopwright.audio.decode import MAX_CHANNELS
from loopwright.audio.formats.table import FORMATS, format_of_extension
from loopwright.audio.types import Audio
from loopwright.errors import InvalidInput, one_of, shown
from loopwright.generation.assemble import assemble
from loopwright.generation.metadata import metadata_of
from loopwright.generation.result import Generation
from loopwright.generation.sources import Upload
from loopwright.kinds.loop import LOOP
from loopwright.kinds.table import kind_named
from loopwright.settings import read_settings
from loopwright.system.logs import configure_logs
from loopwright.system.storage import write_whole

SourceAudio: TypeAlias = "str | Path | bytes | tuple[ArrayLike, int] | GeneratedAudio"
"""A path, the bytes of a file, samples with their rate, or audio that was made before."""


@dataclass(frozen=True, repr=False)
class GeneratedAudio:
    """Audio that was made, and all that is known of it.

    Attributes:
        generation: How it was made, in Loopwright's own objects.
    """

    generation: Generation

    @property
    def audio(self) -> Audio:
        """The samples, float32 [2, samples] within ±1."""
        return self.generation.audio

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self.generation.sample_rate

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.generation.duration

    @property
    def part(self) -> str | None:
        """The part of a stack that it is, or ``mix``; None: it is of no stack."""
        return self.generation.part

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be known of it, a sentence each."""
        return self.generation.warnings

    @functools.cached_property
    def metadata(self) -> dict[str, Any]:
        """All parameters as they were used, and measures; by the names of the HTTP API."""
        return metadata_of(self.generation)

    def save(self, path: str | Path) -> Path:
        """Save it as a file, in the format that the path's extension names.

        Args:
            path: Where to save it. A file that is there is replaced.

        Returns:
            The path.

        Raises:
            InvalidInput: The extension is not one of a format.
            StorageFailed: The file cannot be written.
        """
        path = Path(path)
        name = format_of_extension(path.suffix)
        if name is None:
            extensions = one_of(row.extension for row in FORMATS.values())
            raise InvalidInput(
                f"path must end in {extensions}, got {shown(path.name)}", field="path"
            )
        plan = self.generation.plan
        depths = FORMATS[name].bit_depths
        depth = plan.output.bit_depth
        if depths and depth not in depths:
            depth = max(depths)
        output = replace(plan.output, format=name, bit_depth=depth)
        file = replace(self.generation, plan=replace(plan, output=output)).encoded()
        write_whole(path, file, "the audio")
        return path

    def __repr__(self) -> str:
        plan = self.generation.plan
        bars = "" if plan.loop is None else f"{plan.loop.bars} bars, "
        return f"<GeneratedAudio {shown(plan.words.prompt)}: {bars}{self.duration:.3f} s>"


class Loopwright:
    """A model that stays loaded, to make many loops with.

        with loopwright.Loopwright(model="pocket") as loops:
            drums = loops.generate("techno drums 140bpm", bars=4)
            darker = loops.generate("dark techno drums 140bpm", bars=4, audio=drums)

    It may be used by several threads at once; their loops are made side by side.

    Args:
        settings: Settings by name, such as ``model``, ``device``, ``engine``, ``precision`` and
            ``threads``. One that is not given has the value of its environment variable
            (``LOOPWRIGHT_MODEL``), else its default. The README lists all of them.

    Raises:
        InvalidInput: A setting has a value that is not allowed.
    """

    def __init__(self, **settings: object) -> None:
        if not structlog.is_configured():  # else the program has its own mind about its log
            configure_logs("error", "console")
        # a program may end before a conversion beside it does, and never gain from it
        self._service = assemble(read_settings(settings), at_once=False)
        # a thread of its own, since notebooks have an event loop that runs already
        self._thread = start_blocking_portal(name="loopwright")
        self._portal = self._thread.__enter__()
        self._is_closed = False

    def generate(
        self,
        prompt: str,
        *,
        kind: str = LOOP.name,
        audio: SourceAudio | None = None,
        **parameters: object,
    ) -> GeneratedAudio:
        """Make one loop, or what the kind says.

        Args:
            prompt: What to make, in words; the tempo may be part of it.
            kind: What is made of it: ``loop``, ``audio``, ``style-transfer``, ``loop-with-riff``,
                ``loop-guided``, ``variation``, ``inpaint`` or ``stack`` (of which this is the mix).
            audio: Audio to start from: a path, the bytes of a file, (samples, sample rate) with
                samples as [channels, samples] or [samples], or audio that was made before.
            parameters: The parameters of the kind by the names of the HTTP API, such as ``bars``,
                ``bpm``, ``seed``, ``negative_prompt`` and ``steps``.

        Raises:
            LoopwrightError: A parameter is not allowed (InvalidInput), the model cannot be loaded
                (ModelUnavailable), or another of ``loopwright.errors``.
        """
        return self.generate_all(prompt, kind=kind, audio=audio, **parameters)[0]

    def generate_all(
        self,
        prompt: str,
        *,
        kind: str = LOOP.name,
        audio: SourceAudio | None = None,
        **parameters: object,
    ) -> list[GeneratedAudio]:
        """Make ``n`` takes, or the mix of a stack and its parts.

        Args:
            prompt: As ``generate`` has it.
            kind: As ``generate`` has it.
            audio: As ``generate`` has it.
            parameters: As ``generate`` has them.

        Raises:
            LoopwrightError: As ``generate`` does.
        """
        chosen = kind_named(kind)
        for name in parameters:
            if name not in chosen.request.model_fields:
                known = ", ".join(sorted(chosen.request.model_fields))
                raise InvalidInput(f"{name} is no parameter of {kind}; it has {known}", field=name)
        request, _ = chosen.request.parse({"prompt": prompt, **parameters})
        upload = None if audio is None else _upload(audio)
        if self._is_closed:
            raise RuntimeError("this Loopwright is closed; make another")
        running = self._portal.start_task_soon(self._service.generate, request, upload)
        try:
            return [GeneratedAudio(generation) for generation in running.result()]
        except BaseException:  # such as Ctrl-C: nobody waits for it any more
            running.cancel()
            raise

    def close(self) -> None:
        """Stop all work and unload the model. What is being made ends with an error."""
        if not self._is_closed:
            self._is_closed = True
            self._service.close()
            self._thread.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def generate(
    prompt: str,
    *,
    kind: str = LOOP.name,
    audio: SourceAudio | None = None,
    **parameters: object,
) -> GeneratedAudio:
    """Make one loop with the model that ``LOOPWRIGHT_MODEL`` names.

    Its default, ``auto``, is stable-audio-open-small where that was downloaded before or HF_TOKEN
    is set, else the embedded model. The model is loaded at the first call and kept until the
    program ends. ``Loopwright`` chooses another, and unloads it.

    Args:
        prompt: As ``Loopwright.generate`` has it.
        kind: As ``Loopwright.generate`` has it.
        audio: As ``Loopwright.generate`` has it.
        parameters: As ``Loopwright.generate`` has them.

    Raises:
        LoopwrightError: As ``Loopwright.generate`` does.
    """
    return _shared().generate(prompt, kind=kind, audio=audio, **parameters)


@functools.cache
def _shared() -> Loopwright:
    shared = Loopwright()
    atexit.register(shared.close)
    return shared


def _upload(audio: SourceAudio) -> Upload:
    """Return audio as a file, as clients send it."""
    if isinstance(audio, bytes):
        return Upload(audio, field="audio")
    if isinstance(audio, (str, Path)):
        try:
            return Upload(Path(audio).read_bytes(), Path(audio).name, field="audio")
        except OSError as error:
            raise InvalidInput(
                f"audio cannot be read: {error.strerror}, {shown(str(audio))}", field="audio"
            ) from None
    samples, rate = (audio.audio, audio.sample_rate) if isinstance(audio, GeneratedAudio) else audio
    channels = np.atleast_2d(np.asarray(samples, np.float32))
    if channels.ndim > 2 or len(channels) > MAX_CHANNELS:
        raise InvalidInput(
            f"audio must be [samples] or [channels, samples] with at most {MAX_CHANNELS} channels, "
            f"got {list(channels.shape)}",
            field="audio",
        )
    file = io.BytesIO()
    soundfile.write(file, channels.T, rate, format="WAV", subtype="FLOAT")
    return Upload(file.getvalue(), field="audio")
