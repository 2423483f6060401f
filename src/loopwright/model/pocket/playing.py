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
        """Return the prompt without what its negative prompt takes away, and with what is meant then.

        Words for what is silent draw the model to silence: "percussion" without drums has nothing
        to play. And a genre alone may be answered with almost nothing.
        """
        heard = prompt.without_ids(self._taken_away(negative))
        return heard.with_ids([*self._missing(negative), *self._meant(heard, negative)])

    def led_from(self, negative: Tokens) -> Tokens:
        """Return the negative prompt without what is silent anyway: guidance leads away from the rest.

        Led away from "drums" where there are none, a model is led away from how loops with drums
        sound; and with a guidance below 1, towards them: to silence.
        """
        return negative.without_ids(self._taken_away(negative))

    def _taken_away(self, negative: Tokens) -> frozenset[int]:
        """Return the tokens of a prompt that name what the negative prompt takes away as a whole."""
        drums = frozenset(self.tokens[one] for one in ("drums", *DRUMS))
        taken = drums if self.without_drums(negative) else frozenset()
        return taken | self.pitched if self.without_pitched(negative) else taken

    def _missing(self, negative: Tokens) -> list[int]:
        """For each drum that the negative prompt names, the token that says it is missing; none if no drum plays."""
        if self.without_drums(negative):
            return []
        return [self.tokens[f"without-{one}"] for one in DRUMS if self.tokens[one] in negative.ids]

    def _meant(self, prompt: Tokens, negative: Tokens) -> Iterable[int]:
        """What plays where the prompt names nothing that may: drums and chords, or the half of them that is left."""
        drums, pitched = not self.without_drums(negative), not self.without_pitched(negative)
        named = {self.tokens[one] for one in ("drums", *DRUMS)}.intersection(prompt.ids)
        if pitched and not self.pitched.isdisjoint(prompt.ids):
            return []
        if drums and named:
            # of a snare alone the model makes silence, with six seeds of ten
            return [self.tokens["drums"]] if named == {self.tokens["snare"]} else []
        if drums and pitched:
            return [self.tokens["drums"], self.tokens["chords"]]
        return [self.tokens["drums"]] * drums + [
            self.tokens["chords"],
            self.tokens["bass"],
        ] * pitched
