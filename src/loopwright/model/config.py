"""What a model is made of, read from the ``model_config.json`` of stable-audio-tools.

Knows: the fields that shape a text-conditioned latent diffusion model (a diffusion transformer over an Oobleck VAE, T5 and
number conditioning), and which of their values can be computed here.
Does not know: weights, torch, where the file is. Training settings are skipped. Not covered: other model types, inpainting,
and every option named in the tables of values below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import get_args

from loopwright.model.base import LatentSpec, Objective
from loopwright.model.config_section import Section

T5_WIDTHS = {
    "t5-small": 512,
    "t5-base": 768,
    "t5-large": 1024,
    "t5-3b": 1024,
    "t5-11b": 1024,
    "google/flan-t5-small": 512,
    "google/flan-t5-base": 768,
    "google/flan-t5-large": 1024,
    "google/flan-t5-xl": 2048,
    "google/flan-t5-xxl": 4096,
    "google/t5-v1_1-xl": 2048,
    "google/t5-v1_1-xxl": 4096,
}
"""The width of a text encoder's hidden states, by its name on the hub."""

NUMBERS = ("seconds_start", "seconds_total")
"""The numbers a prompt can be conditioned on."""

DENOISER_OPTIONS: Mapping[str, object] = {
    "patch_size": 1,
    "input_concat_dim": 0,
    "prepend_cond_dim": 0,
    "transformer_type": "continuous_transformer",
    "global_cond_type": "prepend",
    "timestep_cond_type": "global",
    "timestep_embed_dim": None,
    "final_cross_attn_ix": -1,
    "causal": False,
    "rotary_pos_emb": True,
    "conformer": False,
    "use_sinusoidal_emb": False,
    "use_abs_pos_emb": False,
    "num_memory_tokens": 0,
    "sliding_window": None,
    "remove_norms": False,
    "add_rope": False,
    "layer_scale": False,
    "norm_kwargs": {},
    "ff_kwargs": {},
}
"""Options of the denoiser, each with the one value that is supported (the reference's default)."""

DENOISER_FIELDS = (
    "io_channels",
    "embed_dim",
    "depth",
    "num_heads",
    "cond_token_dim",
    "global_cond_dim",
    "project_cond_tokens",
    "project_global_cond",
    "attn_kwargs",
    "zero_init_branch_outputs",
)

ATTENTION_OPTIONS: Mapping[str, object] = {
    "differential": False,
    "feat_scale": False,
    "causal": False,
}
OOBLECK_OPTIONS: Mapping[str, object] = {
    "use_snake": True,
    "antialias_activation": False,
    "use_nearest_upsample": False,
}
SHIFT_OPTIONS: Mapping[str, object] = {"base_shift": 0.5, "max_shift": 1.15, "use_sine": False}


@dataclass(frozen=True)
class DenoiserConfig:
    """The diffusion transformer.

    channels: of a latent frame. width, depth, heads: of the transformer. context_width: of a cross-attention token,
    global_width: of the global conditioning, as they come from the conditioners. project_context, project_global: whether
    those are brought to the transformer's width (else they keep their own). normalise_heads: layer norm on queries and keys.
    """

    channels: int
    width: int
    depth: int
    heads: int
    context_width: int
    global_width: int
    project_context: bool
    project_global: bool
    normalise_heads: bool

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.width // self.heads

    @property
    def inner_context_width(self) -> int:
        """Channels of a cross-attention token inside the transformer."""
        return self.width if self.project_context else self.context_width


@dataclass(frozen=True)
class OobleckConfig:
    """One half of the autoencoder: channels at the audio end, their multiple and the stride of every level from there."""

    audio_channels: int
    latent_channels: int
    channels: int
    multiples: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class AutoencoderConfig:
    """The VAE. scale: what its latents are divided by before they are denoised. tanh: is the audio squashed at the end."""

    encoder: OobleckConfig
    decoder: OobleckConfig
    channels: int
    hop: int
    scale: float
    tanh: bool


@dataclass(frozen=True)
class TextConfig:
    """The text encoder: its name on the hub, its tokens (padded or cut to ``tokens``), and whether they are projected."""

    name: str
    model_name: str
    tokens: int
    hidden_width: int
    projected: bool


@dataclass(frozen=True)
class NumberConfig:
    """A number the model is conditioned on, and its bounds."""

    name: str
    minimum: float
    maximum: float


@dataclass(frozen=True)
class ConditioningConfig:
    """The conditioners, the width they share, the names that make (in this order) tokens and global conditioning."""

    width: int
    text: TextConfig
    numbers: tuple[NumberConfig, ...]
    context_names: tuple[str, ...]
    global_names: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Of the context: those of the text, and one a number."""
        return sum(self.text.tokens if name == self.text.name else 1 for name in self.context_names)


@dataclass(frozen=True)
class ModelConfig:
    """A whole model."""

    spec: LatentSpec
    denoiser: DenoiserConfig
    autoencoder: AutoencoderConfig
    conditioning: ConditioningConfig


def parse_config(values: Mapping[str, object]) -> ModelConfig:
    """The model a ``model_config.json`` describes. Raises ValueError naming the field and value that isn't supported."""
    root = Section("", values)
    root.only("model_type", "diffusion_cond")
    model, diffusion = root.section("model"), root.section("model").section("diffusion")
    autoencoder = _autoencoder(model.section("pretransform"))
    conditioning = _conditioning(model.section("conditioning"), diffusion)
    denoiser = _denoiser(diffusion, conditioning)
    model.equal(
        "io_channels",
        model.integer("io_channels"),
        autoencoder.channels,
        "the autoencoder's latent_dim",
    )
    diffusion.equal(
        "config.io_channels",
        denoiser.channels,
        autoencoder.channels,
        "the autoencoder's latent_dim",
    )
    return ModelConfig(_spec(root, diffusion, autoencoder), denoiser, autoencoder, conditioning)


@lru_cache
def _open_small_text() -> str:
    return (
        resources.files("loopwright.model")
        .joinpath("stable_audio_open_small.json")
        .read_text(encoding="utf-8")
    )


def stable_audio_open_small_config() -> dict[str, object]:
    """The configuration of stable-audio-open-small, as its ``model_config.json`` has it."""
    config: dict[str, object] = json.loads(_open_small_text())
    return config


def _spec(root: Section, diffusion: Section, autoencoder: AutoencoderConfig) -> LatentSpec:
    window = root.integer("sample_size")
    if window < autoencoder.hop:
        raise ValueError(
            f"sample_size must be at least one latent frame ({autoencoder.hop} samples), got {window}"
        )
    return LatentSpec(
        sample_rate=root.integer("sample_rate"),
        window_samples=window,
        channels=autoencoder.channels,
        hop=autoencoder.hop,
        objective=_objective(diffusion),
        shift=_shift(diffusion),
    )


def _objective(diffusion: Section) -> Objective:
    name = diffusion.text("diffusion_objective", "v")
    objectives: tuple[Objective, ...] = get_args(Objective)
    for objective in objectives:
        if name == objective:
            return objective
    raise diffusion.unsupported("diffusion_objective", f"one of {', '.join(objectives)}")


def _shift(diffusion: Section) -> tuple[int, int] | None:
    if diffusion.get("distribution_shift_options") is None:
        return None
    options = diffusion.section("distribution_shift_options")
    options.only_these(SHIFT_OPTIONS, ("min_length", "max_length"))
    shortest, longest = options.integer("min_length", 256), options.integer("max_length", 4096)
    if shortest >= longest:
        raise options.unsupported("max_length", f"more than min_length ({shortest})")
    return shortest, longest


def _denoiser(diffusion: Section, conditioning: ConditioningConfig) -> DenoiserConfig:
    diffusion.only("type", "dit")
    diffusion.only("input_concat_ids", [], default=[])
    diffusion.only("prepend_cond_ids", [], default=[])
    section = diffusion.section("config")
    section.only_these(DENOISER_OPTIONS, DENOISER_FIELDS)
    config = DenoiserConfig(
        channels=section.integer("io_channels"),
        width=section.integer("embed_dim"),
        depth=section.integer("depth"),
        heads=section.integer("num_heads"),
        context_width=section.integer("cond_token_dim"),
        global_width=section.integer("global_cond_dim"),
        project_context=section.flag("project_cond_tokens", True),
        project_global=section.flag("project_global_cond", True),
        normalise_heads=_normalises_heads(section),
    )
    _check_widths(section, config, conditioning)
    return config


def _normalises_heads(section: Section) -> bool:
    attention = section.section("attn_kwargs", {})
    attention.only_these(ATTENTION_OPTIONS, ("qk_norm",))
    norm = attention.text("qk_norm", "none")
    if norm not in {"ln", "none"}:
        raise attention.unsupported("qk_norm", "'ln' or 'none'")
    return norm == "ln"


def _check_widths(
    section: Section, config: DenoiserConfig, conditioning: ConditioningConfig
) -> None:
    if config.width % config.heads:
        raise section.unsupported("embed_dim", f"a multiple of num_heads ({config.heads})")
    if config.head_width < 32 or config.head_width % 4:
        raise section.unsupported(
            "num_heads", f"such that embed_dim / num_heads ({config.head_width}) is 32, 36, 40 …"
        )
    if config.inner_context_width % config.head_width:
        raise section.unsupported(
            "cond_token_dim", f"a multiple of a head's width ({config.head_width})"
        )
    if config.heads % (config.inner_context_width // config.head_width):
        raise section.unsupported(
            "cond_token_dim", f"such that its heads divide num_heads ({config.heads})"
        )
    if not config.project_global and config.global_width != config.width:
        raise section.unsupported(
            "global_cond_dim", f"embed_dim ({config.width}) when it is not projected"
        )
    names = len(conditioning.global_names)
    section.equal(
        "cond_token_dim", config.context_width, conditioning.width, "conditioning.cond_dim"
    )
    section.equal(
        "global_cond_dim",
        config.global_width,
        conditioning.width * names,
        f"cond_dim × {names} global_cond_ids",
    )


def _autoencoder(pretransform: Section) -> AutoencoderConfig:
    pretransform.only("type", "autoencoder")
    config = pretransform.section("config")
    config.only("pretransform", None, default=None)
    config.section("bottleneck").only("type", "vae")
    decoder = config.section("decoder")
    channels, hop = config.integer("latent_dim"), config.integer("downsampling_ratio")
    return AutoencoderConfig(
        encoder=_oobleck(config.section("encoder"), "in_channels", 2 * channels, hop),
        decoder=_oobleck(decoder, "out_channels", channels, hop),
        channels=channels,
        hop=hop,
        scale=pretransform.number("scale", 1.0),
        tanh=decoder.flag("soft_clip", False) or decoder.section("config").flag("final_tanh", True),
    )


def _oobleck(half: Section, channels_field: str, latent_channels: int, hop: int) -> OobleckConfig:
    half.only("type", "oobleck")
    section = half.section("config")
    for name, value in OOBLECK_OPTIONS.items():
        section.only(name, value, default=False)
    section.only(channels_field, 2, default=2)
    section.equal(
        "latent_dim",
        section.integer("latent_dim"),
        latent_channels,
        "what the autoencoder's latent_dim asks for",
    )
    multiples, strides = section.integers("c_mults"), section.integers("strides")
    section.equal("strides", len(strides), len(multiples), "the number of c_mults")
    section.equal("strides", math.prod(strides), hop, "downsampling_ratio")
    if any(stride % 2 for stride in strides):
        raise section.unsupported("strides", "even numbers")
    return OobleckConfig(2, latent_channels, section.integer("channels"), multiples, strides)


def _conditioning(section: Section, diffusion: Section) -> ConditioningConfig:
    section.only("default_keys", {}, default={})
    section.only("pre_encoded_keys", [], default=[])
    width, conditioners = section.integer("cond_dim"), section.sections("configs")
    texts = [_text(one, width) for one in conditioners if one.get("type") == "t5"]
    numbers = tuple(_number(one) for one in conditioners if one.get("type") == "number")
    if len(texts) != 1:
        raise ValueError(
            f"{section.path}.configs must have one conditioner of type t5, got {len(texts)}"
        )
    for one in conditioners:
        if one.text("type") not in {"t5", "number"}:
            raise one.unsupported("type", "'t5' or 'number'")
    names = {number.name for number in numbers}
    return ConditioningConfig(
        width,
        texts[0],
        numbers,
        diffusion.names("cross_attention_cond_ids", names | {texts[0].name}),
        diffusion.names("global_cond_ids", names),
    )


def _text(section: Section, width: int) -> TextConfig:
    section.only("id", "prompt")
    options = section.section("config")
    options.only("enable_grad", False, default=False)
    name = options.text("t5_model_name", "t5-base")
    if name not in T5_WIDTHS:
        raise options.unsupported("t5_model_name", f"one of {', '.join(T5_WIDTHS)}")
    hidden = T5_WIDTHS[name]
    projected = options.flag("project_out", False) or hidden != width
    return TextConfig(
        section.text("id"), name, options.integer("max_length", 128), hidden, projected
    )


def _number(section: Section) -> NumberConfig:
    name, options = section.text("id"), section.section("config")
    if name not in NUMBERS:
        raise section.unsupported("id", f"one of {', '.join(NUMBERS)}")
    minimum, maximum = options.number("min_val", 0.0), options.number("max_val", 1.0)
    if minimum >= maximum:
        raise options.unsupported("max_val", f"more than min_val ({minimum})")
    return NumberConfig(name, minimum, maximum)
