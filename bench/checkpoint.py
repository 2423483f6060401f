"""A full-size model folder with random weights, made on the spot: what both sides are measured with.

Knows: what parameters are called in checkpoints of stable-audio-tools, weight norm included; a T5 of t5-base's size.
Does not know: who loads it. Speed doesn't depend on the weights; their scale keeps activations near 1 and audio within ±1,
so that the sound of both sides can be compared.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from tools.model_configs import stable_audio_open_small_config
from torch import Tensor

from loopwright.model.config import parse_config
from loopwright.model.dit import rotations
from loopwright.model.files import CONFIG_FILE, WEIGHT_FILES
from loopwright.model.stable_audio import StableAudioModel

CACHE = Path(__file__).parent / ".cache"
FOLDER = "stable-audio-open-small-random"
TEXT_ENCODER = "text_encoder"

WORDS = (
    "▁techno",
    "▁drums",
    "▁aggressive",
    "▁140",
    "bpm",
    "▁melody",
    "▁vocals",
    "▁piano",
    "▁house",
    "▁loop",
    "▁",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.-"

RESIDUAL_GAIN = 0.3
"""Of the last convolution of a residual unit: fifteen of them in a row must not grow the signal."""

AUDIO_GAIN = 0.03
"""Of the decoder's last convolution."""

RENAMED = (
    (r"^denoiser\.", "model.model."),
    (r"^autoencoder\.", "pretransform.model."),
    (r"^conditioner\.text\.", "conditioner.conditioners.prompt.proj_out."),
    (
        r"^conditioner\.numbers\.(\w+)\.frequencies$",
        r"conditioner.conditioners.\1.embedder.embedding.0.weights",
    ),
    (
        r"^conditioner\.numbers\.(\w+)\.project\.",
        r"conditioner.conditioners.\1.embedder.embedding.1.",
    ),
)
"""What parts are called here, and in checkpoints of stable-audio-tools."""

DERIVED_BY_REFERENCE = "model.model.transformer.rotary_pos_emb.inv_freq"
"""Stored in its checkpoints, though it follows from the configuration."""

AUDIO_END = "decoder.layers.7.weight"
TRANSPOSED = re.compile(r"\.decoder\.layers\.\d+\.layers\.1\.weight$")
RESIDUAL_END = re.compile(r"\.layers\.\d+\.layers\.\d+\.layers\.3\.weight$")
CONVOLUTION = re.compile(r"^pretransform\.model\..*\.weight$")


def cached_folder(cache: Path = CACHE) -> Path:
    """The model folder, made if it is not there yet (2.4 GB)."""
    folder = cache / FOLDER
    if not folder.is_dir():
        unfinished = cache / f"{FOLDER}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        make_folder(unfinished)
        unfinished.rename(folder)
    return folder


def make_folder(folder: Path) -> Path:
    """A folder with the exact architecture of stable-audio-open-small and random weights, always the same."""
    folder.mkdir(parents=True, exist_ok=True)
    config = stable_audio_open_small_config()
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2))
    save_file(random_tensors(config), folder / WEIGHT_FILES[0])
    make_text_encoder(folder / TEXT_ENCODER)
    return folder


def random_tensors(config: Mapping[str, object]) -> dict[str, Tensor]:
    """Tensors by the reference's names, for a whole model."""
    torch.manual_seed(0)
    parsed = parse_config(config)
    model = StableAudioModel(parsed, _NoText())
    tensors = {
        DERIVED_BY_REFERENCE: rotations(2, parsed.denoiser.head_width, torch.device("cpu"))[1]
    }
    for name, tensor in model.state_dict().items():
        tensors |= _stored(reference_name(name), tensor)
    return tensors


def reference_name(name: str) -> str:
    """What a parameter of ours is called in a checkpoint of stable-audio-tools."""
    for ours, theirs in RENAMED:
        renamed, found = re.subn(ours, theirs, name)
        if found:
            return renamed
    raise ValueError(f"{name} has no name in the reference")


def _stored(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor as checkpoints hold it: a convolution of the autoencoder drawn anew, as direction and length."""
    if not CONVOLUTION.match(name):
        return {name: tensor.contiguous()}
    gain = (
        AUDIO_GAIN
        if name.endswith(AUDIO_END)
        else RESIDUAL_GAIN
        if RESIDUAL_END.search(name)
        else 1.0
    )
    direction = torch.randn(tensor.shape) * gain / math.sqrt(_inputs(name, tensor))
    length = direction.flatten(1).norm(dim=1)[:, None, None]
    return {f"{name}_v": direction, f"{name}_g": length}


def _inputs(name: str, weight: Tensor) -> int:
    """How many numbers make one of the output; over each there are two taps of a transposed kernel (2 strides long)."""
    if TRANSPOSED.search(name):
        return 2 * weight.shape[0]
    return weight.shape[1] * weight.shape[2]


def make_text_encoder(folder: Path) -> None:
    """A T5 encoder of t5-base's size, so that a prompt costs what it costs with the real one, and a tokenizer.

    As the transformers library saves them: random weights, and a vocabulary of a few words and all letters.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    vocabulary = ["<pad>", "</s>", "<unk>", *WORDS, *LETTERS]
    tokenizer = Tokenizer(
        models.Unigram([(word, -float(rank)) for rank, word in enumerate(vocabulary)], unk_id=2)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    of_t5_base = T5Config(
        vocab_size=32128, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12
    )
    T5EncoderModel(of_t5_base).save_pretrained(folder)


class _NoText:
    """A text encoder that is never asked: weights are drawn without it."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def characters_read(self, text: str) -> int:
        raise NotImplementedError
