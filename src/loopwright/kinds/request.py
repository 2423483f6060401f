"""What all requests share: how fields are read, and how an error says what is wrong with one.

Knows: names and values as clients send them. Does not know: the model that will be used; a plan
applies its limits.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from loopwright.audio.formats.table import FORMATS, Format
from loopwright.audio.types import BitDepth, Normalize
from loopwright.errors import InvalidInput, one_of, shown
from loopwright.kinds.fields import (
    MAX_PROMPT_CHARACTERS,
    MAX_STEPS,
    MAX_TAKES,
    STEPS_ALLOWED,
    Number,
    Text,
    WholeNumber,
    Word,
    field,
)
from loopwright.planning.plan import DRAWN_SEEDS, MAX_SEED

REPLY_FIELDS = frozenset([
    "available_audio_seconds", "calculated_duration_seconds", "detected_bpm", "device",
    "duration_seconds", "engine", "generation_time", "gpu_memory_peak", "gpu_memory_used", "grid",
    "input_audio_shape", "loop_duration_seconds", "model", "original_bpm", "original_prompt",
    "part", "precision", "realtime_factor", "redrawn", "requested_bars", "riff", "sample_rate",
    "seam", "seconds_per_bar", "semitones", "shifted_ms", "source", "style_transfer", "warnings",
])  # fmt: skip
"""Names in a reply's metadata that are no parameters: a client may send all of it back."""

REPO_ALLOWED = "a hub repository (`owner/name`)"
CHECKPOINT_ALLOWED = "the name of a checkpoint file in the repository"


FORMAT_DESCRIPTION = "The file's format. " + "; ".join(
    f"`{row.name}`: {row.description}" for row in FORMATS.values()
)
BIT_DEPTH_DESCRIPTION = "Bits per sample: 16 are dithered, 32 are floating-point. " + "; ".join(
    f"`{row.name}` has {one_of(row.bit_depths)}" for row in FORMATS.values() if row.bit_depths
)


class RequestModel(BaseModel):
    """A request as a client sends it: its fields, validated."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    ALIASES: ClassVar[Mapping[str, str]] = {}
    """Names that clients of other servers send, and the names of the same fields here."""

    @classmethod
    def parse(cls, fields: Mapping[str, object]) -> tuple[Self, tuple[str, ...]]:
        """Validate fields as a client sent them.

        An empty string and ``None`` count as absent. Fields that only replies have are left out,
        since the metadata of a reply may be sent back as a request.

        Returns:
            The request, and a warning for each field that is unknown or has another name here.

        Raises:
            InvalidInput: A field is missing or has a value that is not allowed. The message names
                the field, the value and what is allowed.
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
            # one at a time: an error names one field, as clients show it beside that field
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else "request"
            allowed = cls.allowed_values(name)
            if first["type"] == "missing":
                raise InvalidInput(
                    f"{name} is missing; it must be {allowed}", field=name, code="missing_parameter"
                ) from None
            message = f"{name} must be {allowed}, got {shown(given[name])}"
            raise InvalidInput(message, field=name) from None
        known = cls.model_fields.keys() | REPLY_FIELDS
        warnings += [
            f"unknown field `{shown(name)[1:-1]}` was ignored"
            for name in given
            if name not in known
        ]
        return request, tuple(warnings)

    @classmethod
    def allowed_values(cls, name: str) -> str:
        """Return what a field may hold, as errors say it."""
        extra = cls.model_fields[name].json_schema_extra if name in cls.model_fields else None
        return str(extra["allowed"]) if isinstance(extra, dict) else "something else"


SCHEMA_KEYWORDS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
}
"""pydantic's names of bounds, and JSON Schema's."""


def request_schema(request: type[RequestModel]) -> dict[str, Any]:
    """Return the JSON Schema of a request's fields.

    pydantic writes the bounds of a field that may be null under names of its own.
    """
    schema = request.model_json_schema()
    for field_schema in schema["properties"].values():
        field_schema.pop("allowed", None)
        for variant in field_schema.get("anyOf", ()):
            for name in SCHEMA_KEYWORDS.keys() & variant.keys():
                variant[SCHEMA_KEYWORDS[name]] = variant.pop(name)
    return schema


class ModelChoice(RequestModel):
    """The model that a request names, if it names one."""

    model_type: Annotated[Literal["standard", "finetune"], Word] | None = field(
        None,
        "`standard` or `finetune`",
        "The model the server was started with, or a finetune. Default: the finetune, where "
        "`finetune_repo` and `finetune_checkpoint` name one, else the active model "
        "(`POST /models/switch`).",
    )
    finetune_repo: Text | None = field(
        None, REPO_ALLOWED, "The finetune's repository on the hub.", max_length=200
    )
    finetune_checkpoint: Text | None = field(
        None, CHECKPOINT_ALLOWED, "The finetune's checkpoint file.", max_length=200
    )


class GenerationRequest(ModelChoice):
    """A request to ``/generate``, and what requests of every kind have.

    A field that is ``None`` means the model's own default.
    """

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
        "What to keep out, in words. It acts through classifier-free guidance, so `cfg_scale` must "
        "not be 1.",
        max_length=MAX_PROMPT_CHARACTERS,
    )
    seconds_total: Annotated[float, Number] | None = field(
        None,
        "a number of seconds above 0",
        "Length in seconds, from 1 to the model's window (others are clamped). Default: the whole "
        "window.",
        gt=0,
    )
    steps: Annotated[int, Number] | None = field(
        None,
        STEPS_ALLOWED,
        "Denoising steps. Default: the model's own (8 for stable-audio-open-small). More than the "
        "model can use (100 or 250) is clamped, with a warning.",
        ge=1,
        le=MAX_STEPS,
    )
    cfg_scale: Annotated[float, Number] | None = field(
        None,
        "a number from 0 to 20",
        "Scale of classifier-free guidance; 1 switches it (and the negative prompt) off. Default: "
        "the model's own (6.0).",
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
        f"a whole number from 1 to {MAX_TAKES}",
        "Number of takes, with the seeds seed, seed + 1, …",
        ge=1,
        le=MAX_TAKES,
    )
    format: Annotated[Format, Word] = field(
        "wav",
        one_of(FORMATS, quote="`"),
        f"{FORMAT_DESCRIPTION}.",
    )
    bit_depth: Annotated[BitDepth, WholeNumber] = field(
        16,
        one_of(get_args(BitDepth)),
        f"{BIT_DEPTH_DESCRIPTION}; the others have no choice.",
    )
    normalize: Annotated[Normalize, Word] = field(
        "peak",
        "`peak`, `loudness` or `none`",
        "`peak`: the loudest sample at −0.1 dBFS. `loudness`: at `target_lufs`. `none`: as the "
        "model made it.",
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
        "The sampler; `/model/info` lists those that fit the model. Another is replaced, with a "
        "warning.",
        max_length=40,
    )
    strict: bool = field(
        False,
        "true or false",
        "Refuse what the model cannot do (bars that do not fit, a sampler, steps or a length "
        "beyond its range) instead of doing what comes nearest, with a warning.",
    )

    @property
    def attempts_per_take(self) -> int:
        """How many loops are made for each that is sent."""
        return 1

    def with_drawn_seed(self) -> Self:
        """Return the request, with a seed drawn if it asks for a random one."""
        if self.seed >= 0:
            return self
        return self.model_copy(update={"seed": secrets.randbelow(DRAWN_SEEDS)})
