"""Small models made on the spot: a text encoder, and folders that hold whole models."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import torch
from tools.random_checkpoint import make_folder

from tests.model.golden import GOLDEN

WORDS = [
    "<pad>",
    "</s>",
    "<unk>",
    "▁techno",
    "▁drums",
    "▁140bpm",
    "▁",
    *"abcdefghijklmnopqrstuvwxyz0123456789",
]


def make_text_encoder(folder: Path, *, width: int = 512) -> None:
    """Copy a T5 of one layer with random weights, and a tokenizer of a few words."""
    shutil.copytree(_text_encoder(width), folder, dirs_exist_ok=True)


@functools.cache
def _text_encoder(width: int) -> Path:
    """Save the text encoder, once for all that copy it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    tokenizer = Tokenizer(
        models.Unigram([(word, -float(rank)) for rank, word in enumerate(WORDS)], unk_id=2)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    folder = Path(tempfile.mkdtemp(prefix="text-encoder-"))
    atexit.register(shutil.rmtree, folder)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(WORDS), d_model=width, d_kv=16, d_ff=32, num_layers=1, num_heads=2
    )
    T5EncoderModel(config).save_pretrained(folder)
    return folder


def make_model_folder(folder: Path, name: str = "saos-tiny", *, text_encoder: bool = True) -> Path:
    """Copy a golden checkpoint to a model folder."""
    folder.mkdir(exist_ok=True)
    for file in ("model_config.json", "model.safetensors"):
        shutil.copy(GOLDEN / name / file, folder)
    if text_encoder:
        make_text_encoder(folder / "text_encoder")
    return folder


def make_full_size_folder(folder: Path) -> Path:
    """Write a folder with stable-audio-open-small's architecture and random weights (2.4 GB)."""
    return make_folder(folder)
