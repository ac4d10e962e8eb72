"""The choice of the next token, by each request's own rules."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence

import torch

from llmasos.errors import ModelError
from llmasos.models.engines.port import Sampling

# As llama.cpp's `repeat_last_n`.
_REPEAT_WINDOW = 64


class Sampler:
    """Chooses the tokens of one reply.

    A choice depends on the logits, the seed and the place in the reply alone, so that a reply does
    not change with what else is in the batch, nor when it is interrupted.

    Args:
        sampling: The rules.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._rules = sampling
        self._seed = secrets.randbits(64) if sampling.seed is None else sampling.seed
        self.plain = (
            sampling.temperature == 0
            and sampling.repeat_penalty == 1
            and not sampling.presence_penalty
            and not sampling.frequency_penalty
            and not sampling.logit_bias
        )

    def adjust(self, logits: torch.Tensor, prompt: Sequence[int], reply: Sequence[int]) -> torch.Tensor:
        """Return the logits after penalties and biases.

        Args:
            logits: Shape `[size]`, float32.
            prompt: The prompt's tokens.
            reply: The tokens that were chosen so far.
        """
        if self.plain:
            return logits
        rules = self._rules
        logits = logits.clone()
        if rules.repeat_penalty != 1:
            recent = [*prompt[-_REPEAT_WINDOW:], *reply[-_REPEAT_WINDOW:]][-_REPEAT_WINDOW:]
            at = torch.tensor(sorted(set(recent)), dtype=torch.long, device=logits.device)
            old = logits[at]
            logits[at] = torch.where(old > 0, old / rules.repeat_penalty, old * rules.repeat_penalty)
        if reply and (rules.presence_penalty or rules.frequency_penalty):
            counts = Counter(reply)
            at = torch.tensor(list(counts), dtype=torch.long, device=logits.device)
            times = torch.tensor(list(counts.values()), dtype=logits.dtype, device=logits.device)
            logits[at] -= rules.presence_penalty + rules.frequency_penalty * times
        for token, bias in rules.logit_bias:
            logits[token] += bias
        return logits

    def choose(self, logits: torch.Tensor, place: int) -> int:
        """Return the token.

        Args:
            logits: Shape `[size]`, float32, adjusted and masked.
            place: How many tokens the reply has already.

        Raises:
            ModelError: The model computed no number for any token.
        """
        best = int(torch.argmax(logits))
        if not bool(torch.isfinite(logits[best])):
            raise ModelError(
                "The model computed no usable number for the next token.",
                hint="Load it as float32, or choose another model.",
            )
        if self._rules.temperature == 0:
            return best
        odds = self._filter(torch.softmax((logits - logits[best]) / self._rules.temperature, dim=-1))
        # In the order of the vocabulary, small errors of the logits move the sum only a little.
        sums = torch.cumsum(odds.double(), dim=-1)
        target = self._uniform(place) * sums[-1]
        chosen = int(torch.searchsorted(sums, target, right=True))
        return chosen if chosen < len(odds) and float(odds[chosen]) > 0 else best

    def _filter(self, odds: torch.Tensor) -> torch.Tensor:
        rules = self._rules
        allowed = odds >= rules.min_p * odds.max()
        if rules.top_k or rules.top_p < 1:
            ordered, order = torch.sort(odds, descending=True, stable=True)
            within = torch.cumsum(ordered.double(), dim=-1) - ordered < rules.top_p
            if rules.top_k:
                within[rules.top_k :] = False
            allowed[order] &= within
        return odds * allowed

    def _uniform(self, place: int) -> float:
        digest = hashlib.blake2b(f"{self._seed}:{place}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
