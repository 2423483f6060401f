"""What plays: what a prompt names, what its negative prompt takes away, and what is meant where neither says.

Knows: which tokens name drums and which something pitched. Does not know: tensors, channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loopwright.model.pocket.tokens import Tokens

DRUMS = ("kick", "snare", "hat", "percussion")
"""Drums of which a prompt may say by themselves that they are missing."""


@dataclass(frozen=True)
class Playing:
    """tokens: of the meanings that are looked for, by a word of each; pitched: all tokens that name something pitched."""

    tokens: Mapping[str, int]
    pitched: frozenset[int]

    def without_drums(self, negative: Tokens) -> bool:
        """Drums as a whole are taken away."""
        return self.tokens["drums"] in negative.ids

    def without_bass(self, negative: Tokens) -> bool:
        """Basses are taken away, or all that is pitched."""
        return self.tokens["bass"] in negative.ids or self.without_pitched(negative)

    def without_pitched(self, negative: Tokens) -> bool:
        """All that is pitched is taken away."""
        return self.tokens["pitched"] in negative.ids

    def completed(self, prompt: Tokens, negative: Tokens) -> Tokens:
        """The prompt with what its negative prompt and its silence mean.

        Without it, a genre alone may be answered with almost nothing, and with nothing where the half it would have been
        made of is taken away.
        """
        return prompt.with_ids([*self._missing(negative), *self._meant(prompt, negative)])

    def _missing(self, negative: Tokens) -> list[int]:
        """For each drum that the negative prompt names, the token that says it is missing; none if no drum plays."""
        if self.without_drums(negative):
            return []
        return [self.tokens[f"without-{one}"] for one in DRUMS if self.tokens[one] in negative.ids]

    def _meant(self, prompt: Tokens, negative: Tokens) -> Iterable[int]:
        """What plays where the prompt names nothing that may: drums and chords, or the half of them that is left."""
        drums, pitched = not self.without_drums(negative), not self.without_pitched(negative)
        drums_named = not {self.tokens[one] for one in ("drums", *DRUMS)}.isdisjoint(prompt.ids)
        if (drums and drums_named) or (pitched and not self.pitched.isdisjoint(prompt.ids)):
            return []
        if drums and pitched:
            return [self.tokens["drums"], self.tokens["chords"]]
        return [self.tokens["drums"]] * drums + [self.tokens["pitched"]] * pitched
