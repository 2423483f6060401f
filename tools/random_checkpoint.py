"""Make a full-size model folder with random weights, as stable-audio-tools would save it.

Speed does not depend on the weights. Their scale keeps activations near 1 and audio within ±1, so
that the sound of two programs that load the folder can be compared.

Knows: the names of parameters in checkpoints of stable-audio-tools, weight norm included; a T5 of
t5-base's size.
Does not know: who loads it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from loopwright.model.config import parse_config
from loopwright.model.dit import rotations
from loopwright.model.files import CONFIG_FILE, WEIGHT_FILES
from loopwright.model.stable_audio import StableAudioModel
from tools.model_configs import stable_audio_open_small_config
from tools.run_model import NoText

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
"""Gain of a residual unit's last convolution: fifteen in a row must not amplify the signal."""

AUDIO_GAIN = 0.03
"""Gain of the decoder's last convolution."""

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
"""Our names of parts, and those in checkpoints of stable-audio-tools."""

DERIVED_BY_REFERENCE = "model.model.transformer.rotary_pos_emb.inv_freq"
"""A tensor stored in its checkpoints, though it follows from the configuration."""

AUDIO_END = "decoder.layers.7.weight"
TRANSPOSED = re.compile(r"\.decoder\.layers\.\d+\.layers\.1\.weight$")
RESIDUAL_END = re.compile(r"\.layers\.\d+\.layers\.\d+\.layers\.3\.weight$")
CONVOLUTION = re.compile(r"^pretransform\.model\..*\.weight$")


def make_folder(folder: Path) -> Path:
    """Write a folder with stable-audio-open-small's architecture and fixed random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = stable_audio_open_small_config()
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2))
    save_file(random_tensors(config), folder / WEIGHT_FILES[0])
    make_text_encoder(folder / TEXT_ENCODER)
    return folder


def random_tensors(config: Mapping[str, object]) -> dict[str, Tensor]:
    """Return a whole model's tensors by the reference's names."""
    torch.manual_seed(0)
    parsed = parse_config(config)
    model = StableAudioModel(parsed, NoText())
    tensors = {
        DERIVED_BY_REFERENCE: rotations(2, parsed.denoiser.head_width, torch.device("cpu"))[1]
    }
    for name, tensor in model.state_dict().items():
        tensors |= _stored(reference_name(name), tensor)
    return tensors


def reference_name(name: str) -> str:
    """Return the name of one of our parameters in a checkpoint of stable-audio-tools."""
    for ours, theirs in RENAMED:
        renamed, found = re.subn(ours, theirs, name)
        if found:
            return renamed
    raise ValueError(f"{name} has no name in the reference")


def _stored(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Return a tensor as checkpoints hold it.

    A convolution of the autoencoder is drawn anew, and stored as direction and length.
    """
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
    """Return how many inputs make one number of a convolution's output.

    A transposed kernel is two strides long, so two of its taps cover each output.
    """
    if TRANSPOSED.search(name):
        return 2 * weight.shape[0]
    return weight.shape[1] * weight.shape[2]


def make_text_encoder(folder: Path) -> None:
    """Write a T5 encoder of t5-base's size and a tokenizer, as the transformers library saves them.

    Its size makes a prompt cost what it costs with the real one. The weights are random; the
    vocabulary is a few words and all letters.
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
