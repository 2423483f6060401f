"""What a model is made of, read from the ``model_config.json`` of stable-audio-tools.

Training settings are skipped. Not covered: other model types, inpainting models, and the options in
the tables below with other values than theirs.
Knows: the fields that shape a text-conditioned latent diffusion model (a diffusion transformer over
an Oobleck VAE, T5 and number conditioning), and which of their values can be computed here.
Does not know: weights, where the file is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

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
"""Options of the denoiser, each with the one value that is supported: the reference's default."""

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
    "zero_init_branch_outputs",  # of training: the weights replace what it sets
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

    Attributes:
        channels: Channels of a latent frame.
        width: Width of the transformer's tokens.
        depth: Its layers.
        heads: Heads of self-attention.
        context_width: Width of a cross-attention token, as it comes from the conditioners.
        global_width: Width of the global conditioning, as it comes from the conditioners.
        project_context: Whether the context is brought to the transformer's width.
        project_global: Whether the global conditioning is brought to the transformer's width.
        normalise_heads: Whether queries and keys get a layer norm.
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
    """A half of the autoencoder.

    Attributes:
        audio_channels: Channels of the audio.
        latent_channels: Channels of a frame at the other end; the encoder's are mean and spread.
        channels: At the audio's end.
        multiples: What each level, from the audio's end, multiplies ``channels`` by.
        strides: Strides of each level, from the audio's end.
    """

    audio_channels: int
    latent_channels: int
    channels: int
    multiples: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class AutoencoderConfig:
    """The variational autoencoder.

    Attributes:
        encoder: Audio to latents.
        decoder: Latents to audio.
        channels: Channels of a latent frame.
        hop: Samples per latent frame.
        scale: What its latents are divided by before they are denoised.
        tanh: Whether the decoder's audio is squashed at the end.
    """

    encoder: OobleckConfig
    decoder: OobleckConfig
    channels: int
    hop: int
    scale: float
    tanh: bool


@dataclass(frozen=True)
class TextConfig:
    """The text encoder.

    Attributes:
        name: Name of its conditioner.
        model_name: On the hub.
        tokens: To how many a text is padded or cut.
        hidden_width: Channels of a hidden state.
        projected: Whether hidden states are projected to the conditioners' width.
    """

    name: str
    model_name: str
    tokens: int
    hidden_width: int
    projected: bool


@dataclass(frozen=True)
class NumberConfig:
    """A number the model is conditioned on.

    Attributes:
        name: Name of its conditioner.
        minimum: Lower numbers count as this.
        maximum: Higher numbers count as this.
    """

    name: str
    minimum: float
    maximum: float


@dataclass(frozen=True)
class ConditioningConfig:
    """All conditioners.

    Attributes:
        width: Width of what each of them returns.
        text: The text encoder.
        numbers: The others.
        context_names: Those that make the tokens of cross-attention, in their order.
        global_names: Those that make the global conditioning, in their order.
    """

    width: int
    text: TextConfig
    numbers: tuple[NumberConfig, ...]
    context_names: tuple[str, ...]
    global_names: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Tokens of the context: those of the text, and one per number."""
        return sum(self.text.tokens if name == self.text.name else 1 for name in self.context_names)


@dataclass(frozen=True)
class ModelConfig:
    """A whole model.

    Attributes:
        spec: The facts that the layers above need.
        denoiser: Configuration of the denoiser.
        autoencoder: Configuration of the autoencoder.
        conditioning: Configuration of the conditioner.
    """

    spec: LatentSpec
    denoiser: DenoiserConfig
    autoencoder: AutoencoderConfig
    conditioning: ConditioningConfig


def parse_config(values: Mapping[str, object]) -> ModelConfig:
    """Return the model that the content of a ``model_config.json`` describes.

    Raises:
        ValueError: A field is missing or has a value that is not supported; the message names both.
    """
    root = Section("", values)
    root.check_value("model_type", "diffusion_cond")
    model = root.section("model")
    diffusion = model.section("diffusion")
    autoencoder = _parse_autoencoder(model.section("pretransform"))
    conditioning = _parse_conditioning(model.section("conditioning"), diffusion)
    denoiser = _parse_denoiser(diffusion, conditioning)
    channels, what = autoencoder.channels, "the autoencoder's latent_dim"
    model.check_equal("io_channels", model.integer("io_channels"), channels, what)
    diffusion.check_equal("config.io_channels", denoiser.channels, channels, what)
    spec = _parse_spec(root, diffusion, autoencoder)
    return ModelConfig(spec, denoiser, autoencoder, conditioning)


def _parse_spec(root: Section, diffusion: Section, autoencoder: AutoencoderConfig) -> LatentSpec:
    window = root.integer("sample_size")
    if window < autoencoder.hop:
        raise ValueError(
            f"sample_size must be at least one latent frame ({autoencoder.hop} samples), "
            f"got {window}"
        )
    shift = None
    if diffusion.get("distribution_shift_options") is not None:
        options = diffusion.section("distribution_shift_options")
        options.check_fields(SHIFT_OPTIONS, ("min_length", "max_length"))
        shortest = options.integer("min_length", 256)
        longest = options.integer("max_length", 4096)
        if shortest >= longest:
            raise options.unsupported("max_length", f"more than min_length ({shortest})")
        shift = shortest, longest
    # stable-audio-tools takes the v objective where a file names none
    objective = diffusion.text("diffusion_objective", "v")
    objectives = get_args(Objective)
    if objective not in objectives:
        raise diffusion.unsupported("diffusion_objective", f"one of {', '.join(objectives)}")
    return LatentSpec(
        sample_rate=root.integer("sample_rate"),
        window_samples=window,
        channels=autoencoder.channels,
        hop=autoencoder.hop,
        objective=cast(Objective, objective),
        shift=shift,
    )


def _parse_denoiser(diffusion: Section, conditioning: ConditioningConfig) -> DenoiserConfig:
    diffusion.check_value("type", "dit")
    diffusion.check_value("input_concat_ids", [], default=[])
    diffusion.check_value("prepend_cond_ids", [], default=[])
    section = diffusion.section("config")
    section.check_fields(DENOISER_OPTIONS, DENOISER_FIELDS)
    attention = section.section("attn_kwargs", {})
    attention.check_fields(ATTENTION_OPTIONS, ("qk_norm",))
    head_norm = attention.text("qk_norm", "none")
    if head_norm not in {"ln", "none"}:
        raise attention.unsupported("qk_norm", "'ln' or 'none'")
    config = DenoiserConfig(
        channels=section.integer("io_channels"),
        width=section.integer("embed_dim"),
        depth=section.integer("depth"),
        heads=section.integer("num_heads"),
        context_width=section.integer("cond_token_dim"),
        global_width=section.integer("global_cond_dim"),
        project_context=section.flag("project_cond_tokens", True),
        project_global=section.flag("project_global_cond", True),
        normalise_heads=head_norm == "ln",
    )
    _check_widths(section, config, conditioning)
    return config


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
    section.check_equal(
        "cond_token_dim", config.context_width, conditioning.width, "conditioning.cond_dim"
    )
    section.check_equal(
        "global_cond_dim",
        config.global_width,
        conditioning.width * names,
        f"cond_dim × {names} global_cond_ids",
    )


def _parse_autoencoder(pretransform: Section) -> AutoencoderConfig:
    pretransform.check_value("type", "autoencoder")
    config = pretransform.section("config")
    config.check_value("pretransform", None, default=None)
    config.section("bottleneck").check_value("type", "vae")
    decoder = config.section("decoder")
    channels, hop = config.integer("latent_dim"), config.integer("downsampling_ratio")
    # the encoder gives a mean and a spread per channel
    encoder_config = _parse_oobleck(config.section("encoder"), "in_channels", 2 * channels, hop)
    decoder_config = _parse_oobleck(decoder, "out_channels", channels, hop)
    scale = pretransform.number("scale", 1.0)
    # either of two options ends the decoder with a tanh
    soft_clip = decoder.flag("soft_clip", False)
    tanh = soft_clip or decoder.section("config").flag("final_tanh", True)
    return AutoencoderConfig(encoder_config, decoder_config, channels, hop, scale, tanh)


def _parse_oobleck(
    half: Section, channels_field: str, latent_channels: int, hop: int
) -> OobleckConfig:
    half.check_value("type", "oobleck")
    section = half.section("config")
    for name, value in OOBLECK_OPTIONS.items():
        section.check_value(name, value, default=False)
    section.check_value(channels_field, 2, default=2)
    section.check_equal(
        "latent_dim",
        section.integer("latent_dim"),
        latent_channels,
        "what the autoencoder's latent_dim asks for",
    )
    multiples, strides = section.integers("c_mults"), section.integers("strides")
    section.check_equal("strides", len(strides), len(multiples), "the number of c_mults")
    section.check_equal("strides", math.prod(strides), hop, "downsampling_ratio")
    if any(stride % 2 for stride in strides):
        raise section.unsupported("strides", "even numbers")
    return OobleckConfig(2, latent_channels, section.integer("channels"), multiples, strides)


def _parse_conditioning(section: Section, diffusion: Section) -> ConditioningConfig:
    section.check_value("default_keys", {}, default={})
    section.check_value("pre_encoded_keys", [], default=[])
    width, conditioners = section.integer("cond_dim"), section.sections("configs")
    texts = [_parse_text(part, width) for part in conditioners if part.get("type") == "t5"]
    numbers = tuple(_parse_number(part) for part in conditioners if part.get("type") == "number")
    if len(texts) != 1:
        raise ValueError(
            f"{section.path}.configs must have one conditioner of type t5, got {len(texts)}"
        )
    for part in conditioners:
        if part.text("type") not in {"t5", "number"}:
            raise part.unsupported("type", "'t5' or 'number'")
    (text,) = texts
    number_names = {number.name for number in numbers}
    context_names = diffusion.names("cross_attention_cond_ids", number_names | {text.name})
    global_names = diffusion.names("global_cond_ids", number_names)
    return ConditioningConfig(width, text, numbers, context_names, global_names)


def _parse_text(section: Section, width: int) -> TextConfig:
    section.check_value("id", "prompt")
    options = section.section("config")
    options.check_value("enable_grad", False, default=False)
    name = options.text("t5_model_name", "t5-base")
    if name not in T5_WIDTHS:
        raise options.unsupported("t5_model_name", f"one of {', '.join(T5_WIDTHS)}")
    hidden = T5_WIDTHS[name]
    return TextConfig(
        name=section.text("id"),
        model_name=name,
        tokens=options.integer("max_length", 128),
        hidden_width=hidden,
        # as in the reference: a width that differs is projected without being asked for
        projected=options.flag("project_out", False) or hidden != width,
    )


def _parse_number(section: Section) -> NumberConfig:
    name, options = section.text("id"), section.section("config")
    if name not in NUMBERS:
        raise section.unsupported("id", f"one of {', '.join(NUMBERS)}")
    minimum, maximum = options.number("min_val", 0.0), options.number("max_val", 1.0)
    if minimum >= maximum:
        raise options.unsupported("max_val", f"more than min_val ({minimum})")
    return NumberConfig(name, minimum, maximum)
