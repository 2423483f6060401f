"""The shape of a kind of generation: all that its endpoint, command line and files need to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from loopwright.kinds.request import GenerationRequest
from loopwright.planning.plan import GenerationPlan, ModelLimits

R = TypeVar("R", bound=GenerationRequest)

SourceRule = Literal["none", "optional", "required", "riff"]


@dataclass(frozen=True)
class Kind(Generic[R]):
    """A kind of generation.

    Attributes:
        name: Its name on the command line (``--kind``).
        path: Its endpoint.
        summary: What it makes, in a phrase.
        description: What it does, in a sentence or two, for OpenAPI.
        request: Its request.
        plan: Plans a request for a model of some limits, without its source. Raises InvalidInput
            and Impossible.
        source: Where source audio comes from: ``required`` and ``optional`` say whether the client
            sends it, ``riff`` that it is a riff of the library.
        file_name: The name of its files without the suffix, a template for ``str.format``:
            ``seed``, ``created`` (seconds since 1970), and of loops ``loop_type``, ``bpm``,
            ``bars``, ``key`` (of the riff), ``part`` (of a stack).
        earlier: Returns the request whose audio is the source where the client sends none; None:
            the request names no earlier one, and audio is required.
        parts: Returns the requests whose audio is mixed, by the part's name; such a kind makes the
            mix and all of its parts.
    """

    name: str
    path: str
    summary: str
    description: str
    request: type[R]
    plan: Callable[[R, ModelLimits], GenerationPlan]
    source: SourceRule
    file_name: str
    earlier: Callable[[R], GenerationRequest | None] | None = None
    parts: Callable[[R], Mapping[str, GenerationRequest]] | None = None

    @property
    def takes_audio(self) -> bool:
        """Whether clients may send source audio."""
        return self.source in {"required", "optional"}

    def needs_audio(self, request: R) -> bool:
        """Return whether the client must send source audio with a request."""
        if self.earlier is not None:
            return self.earlier(request) is None
        return self.source == "required"
