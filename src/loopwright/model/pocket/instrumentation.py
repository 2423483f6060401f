"""What plays: named by the prompt, excluded by the negative prompt, or filled in by default.

Knows: which tokens name drums and which name pitched instruments. Does not know: tensors, channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loopwright.model.pocket.tokens import Tokens

DRUMS = ("kick", "snare", "hat", "percussion")
"""Drums that have a token for being absent (``without-kick``)."""


@dataclass(frozen=True)
class Instrumentation:
    """The vocabulary's tokens of what plays, and the rules on them.

    Attributes:
        tokens: The vocabulary: the token of each word.
        pitched: All tokens that name a pitched instrument or part.
    """

    tokens: Mapping[str, int]
    pitched: frozenset[int]

    def excludes_drums(self, negative: Tokens) -> bool:
        """Return whether a negative prompt excludes all drums."""
        return self.tokens["drums"] in negative.ids

    def excludes_bass(self, negative: Tokens) -> bool:
        """Return whether a negative prompt excludes basses, or all pitched instruments."""
        return self.tokens["bass"] in negative.ids or self.excludes_pitched(negative)

    def excludes_pitched(self, negative: Tokens) -> bool:
        """Return whether a negative prompt excludes all pitched instruments."""
        return self.tokens["pitched"] in negative.ids

    def complete(self, prompt: Tokens, negative: Tokens) -> Tokens:
        """Return the prompt without excluded tokens, and with tokens for what plays instead.

        Words for excluded parts lead to silence: "percussion" without drums has nothing to play.
        A genre alone may give almost nothing, so defaults are added.
        """
        remaining = prompt.without_ids(self._excluded(negative))
        added = self._defaults(remaining, negative)
        if not self.excludes_drums(negative):
            absent = [drum for drum in DRUMS if self.tokens[drum] in negative.ids]
            added = [*(self.tokens[f"without-{drum}"] for drum in absent), *added]
        return remaining.with_ids(added)

    def reduce_negative(self, negative: Tokens) -> Tokens:
        """Return the negative prompt without parts that are silent anyway.

        Led away from "drums" where there are none, the model is led away from how loops with drums
        sound; and with a ``cfg_scale`` below 1, towards them: to silence.
        """
        return negative.without_ids(self._excluded(negative))

    def _excluded(self, negative: Tokens) -> frozenset[int]:
        """Return all tokens that name parts which the negative prompt excludes as a whole."""
        excluded = frozenset[int]()
        if self.excludes_drums(negative):
            excluded |= {self.tokens[word] for word in ("drums", *DRUMS)}
        if self.excludes_pitched(negative):
            excluded |= self.pitched
        return excluded

    def _defaults(self, prompt: Tokens, negative: Tokens) -> list[int]:
        """Return what plays by default: drums and chords, or the half that is not excluded."""
        may_have_drums = not self.excludes_drums(negative)
        may_have_pitched = not self.excludes_pitched(negative)
        drums, chords, bass = (self.tokens[word] for word in ("drums", "chords", "bass"))
        named_drums = {self.tokens[word] for word in ("drums", *DRUMS)}.intersection(prompt.ids)
        if may_have_pitched and not self.pitched.isdisjoint(prompt.ids):
            return []
        if may_have_drums and named_drums:
            # for a snare alone the model makes silence, with six seeds of ten
            return [drums] if named_drums == {self.tokens["snare"]} else []
        if may_have_drums and may_have_pitched:
            return [drums, chords]
        if may_have_drums:
            return [drums]
        return [chords, bass] if may_have_pitched else []
