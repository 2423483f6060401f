"""What a client asks for, validated: shared by HTTP, the command line and the Python client.

Knows: field names, types, ranges and defaults that hold for every model, and how to say in one sentence what is wrong.
Does not know: the model that will be used (its window, samplers and default steps are applied in ``plan``).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from loopwright.audio.formats.table import FORMATS, Format
from loopwright.audio.types import BitDepth, Normalize
from loopwright.errors import InvalidInput, one_of, shown
from loopwright.music.key import Key, parse_key
from loopwright.music.prompt import LoopType
from loopwright.music.tempo import MAX_BPM, MIN_BPM

MAX_SEED = 2**32 - 1
DRAWN_SEEDS = 2**31
"""Seeds that are drawn stay below this: clients read them as int32."""
MAX_PROMPT_CHARACTERS = 2000
MAX_KEY_CHARACTERS = 40
MAX_STEPS = 10_000
MAX_VARIATIONS = 8

Prefer = Literal["active", "finetune", "recent"]

KEY_ALLOWED = "a musical key such as A, F#m, Bb major or gsharp"
BPM_ALLOWED = f"a number of beats per minute from {MIN_BPM} to {MAX_BPM}"
STEPS_ALLOWED = f"a whole number from 1 to {MAX_STEPS:,}"
FORMAT_DESCRIPTION = "The file's format. " + "; ".join(
    f"`{row.name}`: {row.description}" for row in FORMATS.values()
)
BIT_DEPTH_DESCRIPTION = "Bits per sample: 16 are dithered, 32 are floating-point. " + "; ".join(
    f"`{row.name}` has {one_of(row.bit_depths)}" for row in FORMATS.values() if row.bit_depths
)
STEPS_CLAMPED = "More than the model can use (100 or 250) is clamped, with a warning."

REPLY_FIELDS = frozenset([
    "available_audio_seconds", "calculated_duration_seconds", "detected_bpm", "device", "duration_seconds",
    "engine", "generation_time", "gpu_memory_peak", "gpu_memory_used", "grid", "input_audio_shape",
    "loop_duration_seconds", "model", "original_bpm", "original_prompt", "part", "precision", "realtime_factor",
    "redrawn", "requested_bars", "riff", "sample_rate", "seam", "seconds_per_bar", "semitones", "shifted_ms",
    "source", "style_transfer", "warnings",
])  # fmt: skip
"""Names of the metadata of a reply that are no parameters: a client may send all of it back."""


_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Characters that say nothing and end texts early in files' tags (NUL)."""


def _no_booleans(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


def _text(value: object) -> object:
    if not isinstance(value, str):
        return value
    value.encode()  # a lone surrogate cannot be sent back in any reply
    return _CONTROLS.sub(" ", value).strip()


def _lowercase(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def read_key(value: object) -> Key:
    """Return the key that a field's value spells. Raises ValueError."""
    if isinstance(value, Key):
        return value
    key = parse_key(value) if isinstance(value, str) and len(value) <= MAX_KEY_CHARACTERS else None
    if key is None:
        raise ValueError("it is no key")
    return key


def _whole(value: object) -> object:
    text = _no_booleans(value)
    return (
        int(text) if isinstance(text, str) and text.strip().isdecimal() and len(text) < 10 else text
    )


def _bars(value: object) -> object:
    text = _lowercase(_no_booleans(value))
    if text == "auto":
        return text
    return int(float(text)) if isinstance(text, str) and float(text).is_integer() else text


Number = BeforeValidator(_no_booleans)
Word = BeforeValidator(_lowercase)
Text = Annotated[str, BeforeValidator(_text)]
KeyField = Annotated[
    Key,
    BeforeValidator(read_key),
    PlainSerializer(lambda key: key.written, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": MAX_KEY_CHARACTERS}),
]


def field(default: Any, allowed: str, description: str, **bounds: Any) -> Any:
    """A field with the words its error uses: ``<name> must be <allowed>``."""
    return Field(default, description=description, json_schema_extra={"allowed": allowed}, **bounds)


class RequestModel(BaseModel):
    """What all requests share: how fields are read, and what is said of those that cannot be."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    ALIASES: ClassVar[Mapping[str, str]] = {}
    """Names that clients of other servers send, and ours."""

    @classmethod
    def parse(cls, fields: Mapping[str, object]) -> tuple[Self, tuple[str, ...]]:
        """Validate fields as a client sent them.

        An empty string and ``None`` count as absent. Fields that only replies have are left out: our
        own metadata may be sent back as a request.

        Returns:
            The request, and a warning for each field that is unknown or goes by another name here.

        Raises:
            InvalidInput: names the field, the value and what is allowed.
        """
        given = {name: value for name, value in fields.items() if value is not None and value != ""}
        warnings = []
        for alias, name in cls.ALIASES.items():
            if alias in given and name not in given:
                given[name] = given.pop(alias)
                warnings.append(f"{alias} was read as {name}")
        try:
            request = cls.model_validate(given)
        except ValidationError as error:
            raise _in_one_sentence(cls, given, error) from None
        unknown = [
            name for name in given if name not in cls.model_fields and name not in REPLY_FIELDS
        ]
        warnings += [f"unknown field `{shown(name)[1:-1]}` was ignored" for name in unknown]
        return request, tuple(warnings)


class ModelChoice(RequestModel):
    """Which model a request means."""

    model_type: Annotated[Literal["standard", "finetune"], Word] | None = field(
        None,
        "`standard` or `finetune`",
        "The model the server was started with, or a finetune. Default: the finetune, where `finetune_repo` and "
        "`finetune_checkpoint` name one, else the active model (`POST /models/switch`).",
    )
    finetune_repo: Text | None = field(
        None,
        "a hub repository (`owner/name`)",
        "The finetune's repository on the hub.",
        max_length=200,
    )
    finetune_checkpoint: Text | None = field(
        None,
        "the name of a checkpoint file in the repository",
        "The finetune's checkpoint file.",
        max_length=200,
    )


class PromptsRequest(RequestModel):
    """A request to ``POST /models/prompts``. Repository and checkpoint have two names each."""

    finetune_repo: Text | None = field(
        None,
        "a hub repository (`owner/name`)",
        "The finetune's repository on the hub.",
        max_length=200,
    )
    finetune_checkpoint: Text | None = field(
        None,
        "the name of a checkpoint file in the repository",
        "The finetune's checkpoint file.",
        max_length=200,
    )
    repo: Text | None = field(
        None, "a hub repository (`owner/name`)", "The same as `finetune_repo`.", max_length=200
    )
    checkpoint: Text | None = field(
        None,
        "the name of a checkpoint file in the repository",
        "The same as `finetune_checkpoint`.",
        max_length=200,
    )
    key: Text | None = field(
        None,
        "a key of `loaded_models` in `/models/status`",
        "A loaded model by its key, where no repository is named.",
        max_length=400,
    )
    prefer: Annotated[Prefer, Word] = field(
        "active",
        "`active`, `finetune` or `recent`",
        "Which model, where neither a repository nor a key is named.",
    )


class GenerationRequest(ModelChoice):
    """A request to ``/generate``: text to audio. ``None`` means: the model's own default."""

    ALIASES: ClassVar[Mapping[str, str]] = {"duration": "seconds_total"}

    prompt: Text = field(
        ...,
        f"a text of 1 to {MAX_PROMPT_CHARACTERS} characters",
        "What to make, in words; a tempo may be part of it (`aggressive techno drums 140bpm`).",
        min_length=1,
        max_length=MAX_PROMPT_CHARACTERS,
    )
    negative_prompt: Text | None = field(
        None,
        f"a text of at most {MAX_PROMPT_CHARACTERS} characters",
        "What to keep out, in words. Acts through guidance, so `cfg_scale` must not be 1.",
        max_length=MAX_PROMPT_CHARACTERS,
    )
    seconds_total: Annotated[float, Number] | None = field(
        None,
        "a number of seconds above 0",
        "Length in seconds, from 1 to the model's window (others are clamped). Default: the whole window.",
        gt=0,
    )
    steps: Annotated[int, Number] | None = field(
        None,
        STEPS_ALLOWED,
        f"Denoising steps. Default: the model's own (8 for stable-audio-open-small). {STEPS_CLAMPED}",
        ge=1,
        le=MAX_STEPS,
    )
    cfg_scale: Annotated[float, Number] | None = field(
        None,
        "a number from 0 to 20",
        "Guidance scale; 1 switches guidance (and the negative prompt) off. Default: the model's own (6.0).",
        ge=0,
        le=20,
    )
    seed: Annotated[int, Number] = field(
        -1,
        f"-1 (random) or a whole number from 0 to {MAX_SEED}",
        "The same seed gives the same audio. -1 draws one; the one used is in the reply.",
        ge=-1,
        le=MAX_SEED,
    )
    return_format: Annotated[Literal["file", "base64"], Word] = field(
        "file",
        "`file` or `base64`",
        "`file`: the audio itself. `base64`: JSON with the audio and its metadata.",
    )
    n: Annotated[int, Number] = field(
        1,
        f"a whole number from 1 to {MAX_VARIATIONS}",
        "So many of them, with the seeds seed, seed + 1, …: a zip of files, or a list `results`.",
        ge=1,
        le=MAX_VARIATIONS,
    )
    format: Annotated[Format, Word] = field(
        "wav",
        one_of(FORMATS, quote="`"),
        f"{FORMAT_DESCRIPTION}.",
    )
    bit_depth: Annotated[BitDepth, BeforeValidator(_whole)] = field(
        16, one_of(get_args(BitDepth)), f"{BIT_DEPTH_DESCRIPTION}; the others have no choice."
    )
    normalize: Annotated[Normalize, Word] = field(
        "peak",
        "`peak`, `loudness` or `none`",
        "`peak`: the loudest sample at −0.1 dBFS. `loudness`: at `target_lufs`. `none`: as the model made it.",
    )
    target_lufs: Annotated[float, Number] = field(
        -14.0,
        "a number from -40 to -5",
        "The loudness for `normalize=loudness`, in LUFS.",
        ge=-40,
        le=-5,
    )
    sampler_type: Annotated[str, Word] | None = field(
        None,
        "the name of a sampler",
        "The sampler; `/model/info` lists those that fit the model. Another is replaced, with a warning.",
        max_length=40,
    )
    strict: bool = field(
        False,
        "true or false",
        "Refuse what the model cannot do (bars that do not fit, a sampler, steps or a length beyond its range) "
        "instead of doing what comes nearest, with a warning.",
    )

    def seeded(self) -> Self:
        """The same request with a seed drawn where it asks for a random one."""
        return (
            self
            if self.seed >= 0
            else self.model_copy(update={"seed": secrets.randbelow(DRAWN_SEEDS)})
        )


STYLE_STRENGTH = field(
    0.8,
    "a number from 0.1 to 1.0",
    "How far a style transfer goes from the source audio (the init noise level): 0.1 stays close, 1.0 keeps nothing.",
    ge=0.1,
    le=1,
)


class StyleRequest(GenerationRequest):
    """A request to ``/generate/style-transfer``: audio to audio."""

    style_strength: Annotated[float, Number] = STYLE_STRENGTH


class LoopRequest(GenerationRequest):
    """A request to ``/generate/loop``: exactly so many bars at a tempo."""

    bpm: Annotated[float, Number] | None = field(
        None,
        BPM_ALLOWED,
        "The tempo in beats per minute, where the prompt does not name it.",
        ge=MIN_BPM,
        le=MAX_BPM,
    )
    bars: Annotated[Literal["auto", 1, 2, 4, 8], BeforeValidator(_bars)] = field(
        "auto",
        "`auto`, 1, 2, 4 or 8",
        "Length in bars of four beats. `auto`: the most that fits the model's window.",
    )
    loop_type: Annotated[LoopType, Word] = field(
        "auto",
        "`drums`, `instruments` or `auto`",
        "`drums` keeps tones out, `instruments` keeps drums out.",
    )
    style_strength: Annotated[float, Number] = STYLE_STRENGTH
    seamless: bool = field(
        True,
        "true or false",
        "Join the loop's end to its start, so that it repeats with no click. false: the plain cut.",
    )
    align: bool = field(
        True, "true or false", "Move a loop whose onsets are all early or all late to the grid."
    )
    candidates: Annotated[int, Number] = field(
        1,
        f"a whole number from 1 to {MAX_VARIATIONS}",
        "Make so many and answer the one best on the grid and at the seam; its seed is in the metadata.",
        ge=1,
        le=MAX_VARIATIONS,
    )


class RiffLoopRequest(LoopRequest):
    """A request to ``/generate/loop-with-riff``: a loop whose source is a riff of the personal library."""

    key: KeyField = field(
        ...,
        KEY_ALLOWED,
        "The key of the riff, such as A, F#m, Bb major or gsharp. Riffs are kept by their root: "
        "`gsharp`, `G#`, `Ab` and `G# minor` are one key here.",
    )
    transpose: bool = field(
        False,
        "true or false",
        "Where there is no riff in the key, move the nearest key's riff to it.",
    )
    loop_type: Annotated[LoopType, Word] = field(
        "instruments",
        "`drums`, `instruments` or `auto`",
        "`drums` keeps tones out, `instruments` keeps drums out.",
    )
    steps: Annotated[int, Number] | None = field(
        8, STEPS_ALLOWED, "Denoising steps.", ge=1, le=MAX_STEPS
    )
    cfg_scale: Annotated[float, Number] | None = field(
        1.0, "a number from 0 to 20", "Guidance scale.", ge=0, le=20
    )


class RiffUpload(RequestModel):
    """A request to ``POST /riffs``."""

    key: KeyField | None = field(
        None, KEY_ALLOWED, "The riff's key, such as A, F#m, Bb major or gsharp; its root is kept."
    )
    bpm: Annotated[float, Number] | None = field(
        None, BPM_ALLOWED, "The riff's tempo in beats per minute.", ge=MIN_BPM, le=MAX_BPM
    )
    filename: Text | None = field(
        None,
        "a text of at most 200 characters",
        "The name to keep it under; default: that of the file.",
        max_length=200,
    )


class GuidedLoopRequest(LoopRequest):
    """A request to ``/generate/loop-guided``: a loop that keeps its source where a mask says."""

    steps: Annotated[int, Number] | None = field(
        50, STEPS_ALLOWED, "Denoising steps.", ge=1, le=MAX_STEPS
    )
    guidance_mask: Annotated[Literal["first_bar", "fade", "full"], Word] = field(
        "fade",
        "`first_bar`, `fade` or `full`",
        "What is kept: the first bar, all of it less and less, or all of it.",
    )
    guidance_strength: Annotated[float, Number] = field(
        1.0, "a number from 0 to 10", "How strongly the source pulls; 0 keeps nothing.", ge=0, le=10
    )
    guidance_start_weight: Annotated[float, Number] = field(
        1.0,
        "a number from 0 to 1",
        "The mask where it begins: all that `full` and `first_bar` keep.",
        ge=0,
        le=1,
    )
    guidance_end_weight: Annotated[float, Number] = field(
        0.0,
        "a number from 0 to 1",
        "The mask where `fade` ends, and after the bar of `first_bar`.",
        ge=0,
        le=1,
    )


def _in_one_sentence(
    model: type[BaseModel], given: Mapping[str, object], error: ValidationError
) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "request"
    if first["type"] == "missing":
        return InvalidInput(
            f"{name} is missing; it must be {_allowed(model, name)}",
            field=name,
            code="missing_parameter",
        )
    return InvalidInput(
        f"{name} must be {_allowed(model, name)}, got {shown(given[name])}", field=name
    )


def _allowed(model: type[BaseModel], name: str) -> str:
    extra = model.model_fields[name].json_schema_extra if name in model.model_fields else None
    return str(extra["allowed"]) if isinstance(extra, dict) else "something else"
