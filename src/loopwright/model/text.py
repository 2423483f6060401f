"""The text encoder: words to hidden states, by a T5 of the transformers library.

Knows: tokenising, padding, the encoder.
Does not know: what its states are used for, where its folder comes from.
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
    """An encoder of texts to the states a model is conditioned on."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode texts.

        Returns:
            Hidden states, [texts, tokens, width], and which tokens are words, not padding,
            [texts, tokens], bool.
        """
        ...

    def characters_read(self, text: str) -> int:
        """Return how many characters of a text are read before its tokens are cut off."""
        ...


class T5TextEncoder:
    """A T5 encoder from a folder of the transformers library: configuration, weights, tokenizer.

    Args:
        folder: The folder of the encoder.
        tokens: The number of tokens to which every text is padded or cut.
        device: Where it is computed.

    Attributes:
        module: The encoder's network.
        width: Channels of a hidden state.

    Raises:
        CheckpointError: The folder does not hold such a model.
    """

    def __init__(self, folder: Path, tokens: int, device: torch.device) -> None:
        # slow to import: only models with a T5 wait for it
        from transformers import AutoTokenizer, T5EncoderModel

        # local files only: what is missing in the folder is an error, not a download in passing
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = T5EncoderModel.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"the text encoder in the folder {folder.name} cannot be loaded: {error}"
            ) from None
        # from_pretrained leaves the model in evaluation mode
        self.module = nn.Module.to(model.requires_grad_(False), device)
        self.width = int(model.config.d_model)
        self._tokens = tokens
        self._device = device

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode texts, as ``TextEncoder`` does."""
        encoded = self._tokenize(list(texts), return_tensors="pt").to(self._device)
        mask = encoded["attention_mask"].bool()
        return self.states(encoded["input_ids"], mask), mask

    def characters_read(self, text: str) -> int:
        """Return how many characters of a text are read before its tokens are cut off."""
        encoded = self._tokenize(text, return_overflowing_tokens=True)
        return characters_read(encoded.encodings[0], text)

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encode tokens: ids and mask [texts, tokens] -> hidden states, [texts, tokens, width]."""
        states: Tensor = self.module(input_ids=ids, attention_mask=mask).last_hidden_state
        return states

    def tokenizer_json(self) -> str:
        """Return the tokenizer for the tokenizers library, with its padding and cutting."""
        self._tokenize([""])  # which leaves padding and cutting set
        json: str = self._tokenizer.backend_tokenizer.to_str()
        return json

    def _tokenize(self, text: str | list[str], **options: Any) -> Any:
        return self._tokenizer(
            text, truncation=True, max_length=self._tokens, padding="max_length", **options
        )


def characters_read(encoding: Encoding, text: str) -> int:
    """Return how many characters of a text the tokens stand for that were not cut off."""
    cut_off = encoding.overflowing[0].offsets if encoding.overflowing else []
    # special tokens and padding stand for no characters
    return min((start for start, stop in cut_off if stop > start), default=len(text))
