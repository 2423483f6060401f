"""Floating point operations of each stage, counted from the configuration.

Every multiply-add of a product counts as two. Counted are the products that a result needs: linear
layers, attention, convolutions. Norms, activations and padding are not counted, nor what an
implementation computes twice or discards.
"""

from __future__ import annotations

from loopwright.model.config import AutoencoderConfig, DenoiserConfig, ModelConfig, OobleckConfig

T5_LAYERS, T5_WIDTH, T5_FEED_FORWARD = 12, 768, 3072
"""Dimensions of t5-base."""

FEED_FORWARD_MULTIPLE = 4
TIME_FEATURES = 256
UNITS, UNIT_KERNEL = 3, 7
"""Residual units per level of the autoencoder, and the width of their first convolution.

Their second convolution is one wide.
"""

EDGE_KERNEL, LATENT_KERNEL = 7, 3
"""Widths of the autoencoder's outermost convolution, and of the encoder's last."""


def linear(rows: int, inputs: int, outputs: int) -> int:
    """Count a matrix product."""
    return 2 * rows * inputs * outputs


def attention(queries: int, keys: int, width: int) -> int:
    """Count attention: the scores, and the values that they weigh."""
    return 2 * linear(queries, keys, width)


def text_encoder(tokens: int) -> int:
    """Count the encoding of a prompt by t5-base."""
    layer = linear(tokens, T5_WIDTH, 4 * T5_WIDTH) + attention(tokens, tokens, T5_WIDTH)
    return T5_LAYERS * (layer + linear(tokens, T5_WIDTH, 2 * T5_FEED_FORWARD))


def keys_values(config: DenoiserConfig, context: int) -> int:
    """Count cross-attention's keys and values, computed once for all steps.

    Args:
        config: The denoiser's configuration.
        context: Tokens.
    """
    inner = config.inner_context_width
    embed = linear(context, config.context_width, inner) + linear(context, inner, inner)
    return embed + config.depth * linear(context, inner, 2 * inner)


def denoiser_step(config: DenoiserConfig, frames: int, context: int) -> int:
    """Count one evaluation of one row, with cross-attention's keys and values given."""
    width, tokens = config.width, frames + 1
    around = 2 * linear(frames, config.channels, config.channels) + 2 * linear(
        frames, config.channels, width
    )
    first = linear(1, TIME_FEATURES + width, width) + linear(1, config.global_width + width, width)
    own = linear(tokens, width, 4 * width) + attention(tokens, tokens, width)
    cross = linear(tokens, width, 2 * width) + attention(tokens, context, width)
    # gated: twice as wide on the way in
    feed_forward = linear(tokens, width, 3 * FEED_FORWARD_MULTIPLE * width)
    return around + first + config.depth * (own + cross + feed_forward)


def decoder(config: AutoencoderConfig, frames: int) -> int:
    """Count the decoding of latent frames."""
    half = config.decoder
    widths = [half.channels * multiple for multiple in (1, *half.multiples)]
    return _levels(half, frames, config.hop) + (
        linear(frames, half.latent_channels * EDGE_KERNEL, widths[-1])
        + linear(frames * config.hop, widths[0] * EDGE_KERNEL, half.audio_channels)
    )


def encoder(config: AutoencoderConfig, frames: int) -> int:
    """Count the encoding of audio as this many latent frames."""
    half = config.encoder
    widths = [half.channels * multiple for multiple in (1, *half.multiples)]
    return _levels(half, frames, config.hop) + (
        linear(frames, widths[-1] * LATENT_KERNEL, half.latent_channels)
        + linear(frames * config.hop, half.audio_channels * EDGE_KERNEL, widths[0])
    )


def by_stage(config: ModelConfig, *, rows: int, steps: int, samples: int) -> dict[str, int]:
    """Count what text to audio needs, by stage.

    Args:
        config: The model's configuration.
        rows: Rows that the denoiser evaluates per step.
        steps: Steps of the sampler.
        samples: Length of the audio.
    """
    context = config.conditioning.text.tokens + len(config.conditioning.context_names) - 1
    denoiser = config.denoiser
    return {
        "conditioning": rows
        * (text_encoder(config.conditioning.text.tokens) + keys_values(denoiser, context)),
        "denoising": rows * steps * denoiser_step(denoiser, config.spec.frames, context),
        "decoding": decoder(config.autoencoder, -(-samples // config.spec.hop)),
    }


def _levels(half: OobleckConfig, frames: int, hop: int) -> int:
    """Count the levels of the encoder or the decoder.

    Each has residual units at the finer rate, and a strided convolution two strides wide. The
    units have the width of the side nearer to the audio in both halves.
    """
    widths = [half.channels * multiple for multiple in (1, *half.multiples)]
    total, samples = 0, frames * hop
    for narrow, wide, stride in zip(widths, widths[1:], half.strides, strict=False):
        total += UNITS * linear(samples, narrow, (UNIT_KERNEL + 1) * narrow)
        total += linear(samples // stride, narrow * 2 * stride, wide)
        samples //= stride
    return total
