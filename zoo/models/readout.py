"""What an embedding reads from the mean state of the trained tokens: an affine map, chosen once these are trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PATIENCE = 0.5
"""How much a query must look refused before a content policy moves it: harmless examples lie at 0 on average, refused ones at 1."""
MIN_VARIANCE = 1e-6
"""Of the largest variance: what partial whitening takes a direction's variance to be at least."""


@dataclass(frozen=True)
class PolicyHead:
    """What a content policy adds to an embedding: a score, where it is above 0, along a direction.

    Attributes:
        weight: ``(H,)``, reads from the mean ``z`` how far the text is to be moved as refused.
        bias: ``(1,)``.
        direction: ``(D,)``.
    """

    weight: Tensor
    bias: Tensor
    direction: Tensor


@dataclass(frozen=True)
class Readout:
    """An embedding ``weight @ z + bias``, in double precision; z is a text's mean ``z`` over the compression tokens.

    Attributes:
        weight: ``(D, H)``.
        bias: ``(D,)``.
        moment: ``(D, D)``, the embeddings' mean outer product over the texts that training remembers.
    """

    weight: Tensor
    bias: Tensor
    moment: Tensor

    @classmethod
    def of(cls, gram: Tensor, weight: Tensor, bias: Tensor) -> Readout:
        """A map of z.

        Args:
            gram: ``(H + 1, H + 1)``, the summed outer products of z and a constant 1 (`genzoo.training.heads.TokenHeads` sums them).
            weight: ``(D, H)``.
            bias: ``(D,)``.
        """
        both = torch.cat([weight, bias[:, None]], dim=1)
        return cls(weight, bias, both @ gram @ both.T / gram[-1, -1])

    def policy_axis(self) -> tuple[Tensor, float]:
        """The direction ``(D,)`` in which embeddings vary least, and their root mean square length."""
        return torch.linalg.eigh(self.moment).eigenvectors[:, 0], float(self.moment.trace().sqrt())

    def policy_head(self, weight: Tensor, bias: float, pull: float) -> PolicyHead:
        """What a content policy adds, on the axis that embeddings use least.

        Texts lie at 0 on it, and queries at ``pull`` times how much more than `PATIENCE` they look refused, in multiples of the
        embeddings' root mean square length. Such a query keeps the order of what it finds exactly: all its cosines shrink by one factor.

        Args:
            weight: ``(H,)``, how refused a query looks (`genzoo.policies.reading`).
            bias: Added to it.
            pull: Length of a whole refusal.
        """
        axis, length = self.policy_axis()
        return PolicyHead(pull * weight.to(axis), pull * axis.new_tensor([bias - PATIENCE]), length * axis)

    def shared_axes(self, queries: Tensor, responses: Tensor, *, width: int = 0, policy_first: bool = False) -> Tensor:
        """``(width, D)`` turn of the embeddings, first to the directions in which queries and their responses vary together most.

        The eigenvectors of the symmetric part of the cross-covariance. The first 64 of 256 dimensions keep more so than those of
        the largest variance, part of which is about how a text is worded (`benchmarks/forgiving.py`).

        Args:
            queries: ``(pairs, H)``, z of each.
            responses: ``(pairs, H)`` likewise, in the order of their queries.
            width: How many directions are kept; 0 keeps all D, which changes no cosine.
            policy_first: Whether `policy_axis` comes before all others.
        """
        first, second = ((one - one.mean(dim=0)).double() @ self.weight.T for one in (queries, responses))
        cross = first.T @ second
        axes = torch.linalg.eigh(cross + cross.T).eigenvectors.flip(1).T
        if policy_first:
            axes = torch.linalg.qr(torch.cat([self.policy_axis()[0][None], axes]).T).Q.T
        return axes[: width or None]

    def finished(self, axes: Tensor | None, policy: PolicyHead | None) -> tuple[Tensor, Tensor]:
        """Weight and bias of the embeddings once they are turned, and have lost what they had on a policy's axis."""
        weight, bias = self.weight, self.bias
        if policy is not None:
            axis = torch.nn.functional.normalize(policy.direction, dim=0)
            weight, bias = weight - torch.outer(axis, axis @ weight), bias - axis * (axis @ bias)
        return (weight, bias) if axes is None else (axes @ weight, axes @ bias)


def of_teacher(gram: Tensor, weight: Tensor, bias: Tensor, power: float) -> Readout:
    """The regression on the teacher's embeddings, with its outputs partly whitened.

    A regression shrinks what it can hardly predict, so that a few directions rule every cosine. Over the texts that are
    remembered the embeddings have mean m and covariance ``C = U diag(v) U'``; they become ``s U diag(v)^-power U' (e - m)``
    with s so that the total variance stays. The map is symmetric: the embedding stays in the teacher's space.

    Args:
        gram: As in `Readout.of`.
        weight: ``(D, H)`` of the regression.
        bias: ``(D,)``.
        power: 0 changes nothing, 0.5 whitens in full.
    """
    if not power:
        return Readout.of(gram, weight, bias)
    mean = _mean(gram)
    covariance = weight @ (gram[:-1, :-1] / gram[-1, -1] - torch.outer(mean, mean)) @ weight.T
    values, vectors = torch.linalg.eigh(covariance)
    values = values.clamp(min=float(values[-1]) * MIN_VARIANCE)
    spread = values.pow(1 - 2 * power)
    change = (vectors * (values.pow(-power) * (values.sum() / spread.sum()).sqrt())) @ vectors.T
    return Readout.of(gram, change @ weight, -change @ (weight @ mean))


def of_states(gram: Tensor, alike: Sequence[tuple[Tensor, Tensor, float]]) -> Readout:
    """The tokens' own states, held back in directions in which texts differ that should have one embedding.

    Within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006), smoothed: with S the mean outer product of the
    differences in one kind of pairs, scaled to a mean variance of 1, and m the mean z, the embedding is
    ``(I + sum strength * S)^-1/2 (z - m)``; D is H.

    Args:
        gram: As in `Readout.of`.
        alike: Kinds of pairs that should have one embedding: z of both sides, ``(pairs, H)`` each, and the kind's strength.
    """
    mean = _mean(gram)
    noise = torch.eye(len(mean), dtype=torch.float64, device=mean.device)
    for first, second, strength in alike:
        apart = (first - second).double()
        spread = apart.T @ apart
        if float(spread.trace()):  # pairs without a difference say nothing
            noise += strength * len(mean) / spread.trace() * spread
    values, vectors = torch.linalg.eigh(noise)
    weight = (vectors * values.pow(-0.5)) @ vectors.T
    return Readout.of(gram, weight, -weight @ mean)


def _mean(gram: Tensor) -> Tensor:
    """Mean z ``(H,)``."""
    return gram[:-1, -1] / gram[-1, -1]
