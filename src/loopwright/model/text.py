"""The text encoder: words to hidden states, by a T5 of the transformers library.

Knows: tokenising, padding, the encoder. Does not know: what its states are used for, where its folder comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from loopwright.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Encoding


class TextEncoder(Protocol):
    """Turns texts into states a model is conditioned on."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """-> hidden states [texts, tokens, width] and which tokens are words [texts, tokens], bool."""
        ...

    def characters_read(self, text: str) -> int:
        """Return how many characters of a text are read before its tokens are cut off."""
        ...


class T5TextEncoder:
    """A T5 encoder from a folder of the transformers library: configuration, weights, tokenizer.

    tokens: texts are padded or cut to so many. width: channels of a hidden state.
    Raises CheckpointError for a folder that does not hold such a model.
    """

    def __init__(self, folder: Path, tokens: int, device: torch.device) -> None:
        from transformers import AutoTokenizer, T5EncoderModel

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = T5EncoderModel.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"the text encoder in the folder {folder.name} cannot be loaded: {error}"
            ) from None
        self.module = nn.Module.to(
            model.requires_grad_(False), device
        )  # from_pretrained leaves it in evaluation mode
        self.width = int(model.config.d_model)
        self._tokens = tokens
        self._device = device

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See ``TextEncoder``."""
        said = self._tokenize(texts).to(self._device)
        mask = said["attention_mask"].bool()
        return self.states(said["input_ids"], mask), mask

    def characters_read(self, text: str) -> int:
        """See ``TextEncoder``."""
        said = self._tokenizer(
            text,
            truncation=True,
            max_length=self._tokens,
            padding="max_length",
            return_overflowing_tokens=True,
        )
        return characters_read(said.encodings[0], text)

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids, mask: [texts, tokens] -> hidden states, [texts, tokens, width]."""
        states: Tensor = self.module(input_ids=ids, attention_mask=mask).last_hidden_state
        return states

    def tokenizer_json(self) -> str:
        """The tokenizer for the tokenizers library, with its padding and cutting."""
        self._tokenize([""])  # which leaves both set
        said: str = self._tokenizer.backend_tokenizer.to_str()
        return said

    def _tokenize(self, texts: Sequence[str]) -> Any:
        return self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self._tokens,
            padding="max_length",
            return_tensors="pt",
        )


def characters_read(encoding: Encoding, text: str) -> int:
    """Return how many characters of a text the tokens stand for that were not cut off."""
    left_out = encoding.overflowing[0].offsets if encoding.overflowing else []
    return min((start for start, stop in left_out if stop > start), default=len(text))
