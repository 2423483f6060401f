"""Small models made on the spot: a text encoder, and folders that hold whole models."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from loopwright.model.config import parse_config, stable_audio_open_small_config
from loopwright.model.files import CONFIG_FILE
from loopwright.model.stable_audio import StableAudioModel
from tests.model.golden import GOLDEN, no_text

WORDS = ["<pad>", "</s>", "<unk>", "▁techno", "▁drums", "▁140bpm", "▁", *"abcdefghijklmnopqrstuvwxyz0123456789"]


def make_text_encoder(folder: Path, *, width: int = 512) -> None:
    """A T5 of one layer with random weights and a tokenizer of a few words, as the transformers library saves them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    tokenizer = Tokenizer(models.Unigram([(word, -float(rank)) for rank, word in enumerate(WORDS)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(vocab_size=len(WORDS), d_model=width, d_kv=16, d_ff=32, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(folder)


def make_model_folder(folder: Path, name: str = "saos-tiny", *, text_encoder: bool = True) -> Path:
    """A golden checkpoint as a model folder."""
    folder.mkdir(exist_ok=True)
    for file in ("model_config.json", "model.safetensors"):
        shutil.copy(GOLDEN / name / file, folder)
    if text_encoder:
        make_text_encoder(folder / "text_encoder")
    return folder


def make_full_size_folder(folder: Path) -> Path:
    """A folder with the exact architecture of stable-audio-open-small and random weights (2 GB)."""
    config = stable_audio_open_small_config()
    folder.mkdir(exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    torch.manual_seed(0)
    model = StableAudioModel(parse_config(config), no_text)
    save_file(
        {_reference_name(name): tensor for name, tensor in model.state_dict().items()}, folder / "model.safetensors"
    )
    make_text_encoder(folder / "text_encoder", width=768)
    return folder


def _reference_name(name: str) -> str:
    """What a parameter of ours is called in a checkpoint of stable-audio-tools."""
    number = re.fullmatch(r"conditioner\.numbers\.(\w+)\.(frequencies|project\.(\w+))", name)
    if number:
        rest = "0.weights" if number[2] == "frequencies" else f"1.{number[3]}"
        return f"conditioner.conditioners.{number[1]}.embedder.embedding.{rest}"
    for ours, theirs in (
        ("denoiser.", "model.model."),
        ("autoencoder.", "pretransform.model."),
        ("conditioner.text.", "conditioner.conditioners.prompt.proj_out."),
    ):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise ValueError(f"{name} has no name in the reference")
