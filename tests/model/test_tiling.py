"""Tiles against the whole, and receptive fields against what really reaches a sample."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools.model_configs import stable_audio_open_small_config
from tools.run_model import run_encoding
from torch import Tensor

from loopwright.model.autoencoder import decoder_split, encoder_split
from loopwright.model.config import AutoencoderConfig, parse_config
from loopwright.model.stable_audio import StableAudioModel
from loopwright.model.tile_pool import TilePool
from loopwright.model.tiling import tiles
from tests.model.golden import golden, relative_error

SAME = 1e-5


def model() -> StableAudioModel:
    return golden("saos-tiny").model


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.data(), st.integers(1, 200), st.integers(1, 50), st.integers(0, 30))
def test_tiles_keep_every_position_once_with_its_margin(
    data: st.DataObject, whole: int, size: int, margin: int
) -> None:
    wanted = data.draw(st.integers(1, whole))
    kept: list[int] = []
    for tile in tiles(wanted, size, margin, whole):
        assert 0 <= tile.start <= tile.keep_from < tile.keep_to <= tile.stop <= whole
        assert tile.start == 0 or tile.keep_from - tile.start >= margin
        assert tile.stop == whole or tile.stop - tile.keep_to >= margin
        assert tile.stop - tile.start == min(size + 2 * margin, whole)
        kept += range(tile.keep_from, tile.keep_to)
    assert kept == list(range(wanted))


@given(tile_frames=st.integers(1, 9), samples=st.integers(1, 16384), tile_pool=st.integers(1, 3))
@settings(max_examples=25)
def test_any_tiles_decode_to_the_samples_of_the_whole(
    tile_frames: int, samples: int, tile_pool: int
) -> None:
    made, latents = model(), noise(model().spec.channels, model().spec.frames)
    with torch.inference_mode():
        whole = made.autoencoder.decode_fine(made.autoencoder.decode_coarse(latents[None]))[0]
        made.tile_frames, made.tile_pool = tile_frames, TilePool(tile_pool)
        try:
            pieces = list(made.decode(latents, samples, torch.Generator()))
        finally:
            made.tile_frames, made.tile_pool = StableAudioModel.tile_frames, TilePool(1)
    assert relative_error(torch.cat(pieces, -1), whole[:, :samples]) < SAME


@given(tile_frames=st.integers(1, 9), frames=st.integers(1, 64), samples=st.integers(1, 16384))
@settings(max_examples=25)
def test_any_tiles_encode_to_the_latents_of_the_whole(
    tile_frames: int, frames: int, samples: int
) -> None:
    """Most of the window is silent in some of them, and then computed once."""
    made = model()
    frames = min(frames, made.spec.frames)
    audio = noise(2, samples) * 0.1
    with torch.inference_mode():
        window = torch.nn.functional.pad(audio, (0, made.spec.window_samples - samples))
        mean, _ = made.autoencoder.encode_coarse(made.autoencoder.encode_fine(window[None]))
        made.tile_frames = tile_frames
        try:
            encoded = run_encoding(made.encode(audio, frames))
        finally:
            made.tile_frames = StableAudioModel.tile_frames
    # the encoder amplifies rounding a thousandfold (see test_golden): tiles differ by more than the
    # decoder's
    assert relative_error(encoded.mean, mean[0, :, :frames]) < 1e-4


def test_a_silent_tile_is_encoded_once() -> None:
    made, calls = model(), list[int]()
    plain = made.autoencoder.encode_fine

    def counted(audio: Tensor) -> Tensor:
        calls.append(audio.shape[-1])
        return plain(audio)

    made.autoencoder.encode_fine = counted  # type: ignore[method-assign]
    made.tile_frames = 1
    try:
        with torch.inference_mode():
            run_encoding(made.encode(noise(2, made.spec.hop), made.spec.frames))
    finally:
        del made.autoencoder.encode_fine
        made.tile_frames = StableAudioModel.tile_frames
    assert (
        len(calls) == 4
    )  # the two that hear it, the one at the window's end, and one for the four between


@torch.inference_mode()
def test_the_decoders_receptive_field_is_exact() -> None:
    """A latent frame moves the samples it should, no more, and the farthest of them."""
    made = model()
    cut, frames = decoder_split(golden_config().decoder), 40
    coarse = made.autoencoder.decode_coarse(noise(1, made.spec.channels, frames))
    moved = coarse.clone()
    middle = coarse.shape[-1] // 2
    moved[..., middle] += 1
    difference = (
        (made.autoencoder.decode_fine(moved) - made.autoencoder.decode_fine(coarse))
        .abs()
        .amax((0, 1))
    )
    touched = torch.nonzero(difference > 0).flatten() // cut.samples
    assert middle - cut.fine_reach <= touched.min()
    assert touched.max() <= middle + cut.fine_reach
    assert touched.max() - touched.min() >= 2 * cut.fine_reach - 2


@torch.inference_mode()
def test_the_encoders_receptive_field_is_exact() -> None:
    made = model()
    cut = encoder_split(golden_config().encoder)
    audio = noise(1, 2, 40 * made.spec.hop)
    moved = audio.clone()
    position = audio.shape[-1] // cut.samples // 2
    moved[..., position * cut.samples] += 1
    difference = (
        (made.autoencoder.encode_fine(moved) - made.autoencoder.encode_fine(audio))
        .abs()
        .amax((0, 1))
    )
    touched = torch.nonzero(difference > 0).flatten()
    assert position - cut.fine_reach <= touched.min()
    assert touched.max() <= position + cut.fine_reach
    assert touched.max() - touched.min() >= 2 * cut.fine_reach - 3


def test_the_cut_of_the_real_model_leaves_the_weights_on_the_coarse_side() -> None:
    config = parse_config(stable_audio_open_small_config()).autoencoder
    for cut in (encoder_split(config.encoder), decoder_split(config.decoder)):
        assert (cut.levels, cut.positions, cut.samples) == (3, 64, 32)
        assert cut.fine_reach < cut.positions / 2


def golden_config() -> AutoencoderConfig:
    from loopwright.model.stable_audio import read_config
    from tests.model.golden import GOLDEN

    return read_config(GOLDEN / "saos-tiny" / "model_config.json").autoencoder
