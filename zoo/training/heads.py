"""What is trained, in the coordinates in which it trains well, and folded into the method's form afterwards.

Raw hidden states have a few huge dimensions and a large mean. Both projections therefore read ``z = (h - mean) / scale`` with
fixed statistics, and the alignment reads ``z`` directly instead of the reconstruction's output, so that neither head moves the
ground under the other. Both are affine, so the result folds exactly into the paper's chain
``p = W_r h + b_r``, ``e = mean_j (W_a p_j + b_a)`` as long as ``W_r`` is invertible, which `fold` checks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genzoo.errors import TrainingError

MAX_CONDITION = 1e6
MIN_VARIANCE = 1e-6
"""Of the largest variance: what partial whitening takes a direction's variance to be at least."""


class TokenHeads(nn.Module):
    """Trained rows and projections.

    Args:
        rows: ``(n, H)`` start of the trained rows.
        n_compression: Trailing tokens that are pooled and decoded.
        dim: D, the teacher's dimension; None where there is no teacher: then the embedding is the mean soft prompt, H wide.
        embedding_rms: Size of a typical backbone embedding: soft prompts start at that size.
    """

    mean: Tensor
    scale: Tensor
    embedding_rms: Tensor
    gram: Tensor
    cross: Tensor

    def __init__(self, rows: Tensor, n_compression: int, dim: int | None, embedding_rms: float) -> None:
        super().__init__()
        hidden = rows.shape[1]
        self.n_compression = n_compression
        self.rows = nn.Parameter(rows.clone().float())
        self.recon = nn.Linear(hidden, hidden)
        self.has_teacher = dim is not None
        dim = dim or hidden
        self.align = nn.Linear(hidden, dim)
        self.register_buffer("mean", torch.zeros(hidden))
        self.register_buffer("scale", torch.ones(hidden))
        self.register_buffer("embedding_rms", torch.tensor(float(embedding_rms)))
        # Running normal equations of the alignment: inputs are mean z and a constant 1.
        self.register_buffer("gram", torch.zeros(hidden + 1, hidden + 1, dtype=torch.float64))
        self.register_buffer("cross", torch.zeros(hidden + 1, dim, dtype=torch.float64))
        with torch.no_grad():
            self.recon.weight.copy_(torch.eye(hidden))
            self.recon.bias.zero_()
            self.align.bias.zero_()
            if not self.has_teacher:
                self.align.weight.copy_(torch.eye(hidden))
                self.align.requires_grad_(False)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states ``(batch, n, H)`` -> embeddings ``(batch, D)`` (unit variance) and ``z (batch, n_compression, H)``."""
        z = (states[:, -self.n_compression :].float() - self.mean) / self.scale
        return self.align(z.mean(dim=1)), z

    def soft_prompts(self, z: Tensor) -> Tensor:
        """``z (batch, n_compression, H)`` -> soft prompts of the same shape, in the backbone's embedding space."""
        return self.embedding_rms * self.recon(z)

    @torch.no_grad()
    def start_from(self, states: Tensor, targets: Tensor | None, ridge: float) -> None:
        """Set the statistics from states ``(N, n, H)`` and solve the alignment on targets ``(N, D)``, if there are any."""
        kept = states[:, -self.n_compression :].double()
        self.mean.copy_(kept.mean(dim=(0, 1)))
        self.scale.copy_(kept.std(dim=(0, 1)).clamp(min=1e-4))
        if targets is not None:
            _, z = self(states)
            self.remember(z.mean(dim=1), targets, keep=1.0)
            self.solve_alignment(ridge)

    @torch.no_grad()
    def remember(self, pooled: Tensor, targets: Tensor, keep: float) -> None:
        """Add a batch to the running normal equations.

        Args:
            pooled: ``(batch, H)``, the mean of ``z`` over the compression tokens.
            targets: ``(batch, D)``.
            keep: Share of what was seen before that still counts.
        """
        inputs = torch.cat([pooled.double(), pooled.new_ones(len(pooled), 1).double()], dim=1)
        self.gram.mul_(keep).addmm_(inputs.T, inputs)
        self.cross.mul_(keep).addmm_(inputs.T, targets.double())

    @torch.no_grad()
    def solve_alignment(self, ridge: float) -> None:
        """Set the alignment to the ridge regression on what is remembered.

        Args:
            ridge: Added to the diagonal; the constant is not held back.
        """
        diagonal = torch.full((len(self.gram),), ridge, dtype=torch.float64, device=self.gram.device)
        diagonal[-1] = 1e-6
        solution = torch.linalg.solve(self.gram + torch.diag(diagonal), self.cross).T
        self.align.weight.copy_(solution[:, :-1])
        self.align.bias.copy_(solution[:, -1])

    @torch.no_grad()
    def whitened(self, power: float) -> tuple[Tensor, Tensor]:
        """The alignment with its outputs partly whitened, as weight ``(D, H)`` and bias ``(D,)`` in double precision.

        A regression shrinks what it can hardly predict, so that a few directions rule every cosine. Over the texts that are
        remembered the embeddings have mean m and covariance ``C = U diag(v) U'``; they become ``s U diag(v)^-power U' (e - m)``
        with s so that the total variance stays. The map is symmetric: the embedding stays in the teacher's space.

        Args:
            power: 0 changes nothing, 0.5 whitens in full.
        """
        weight, bias = self.align.weight.double(), self.align.bias.double()
        if not power:
            return weight, bias
        count, total = self.gram[-1, -1], self.gram[:-1, -1]
        mean = total / count
        covariance = weight @ (self.gram[:-1, :-1] / count - torch.outer(mean, mean)) @ weight.T
        values, vectors = torch.linalg.eigh(covariance)
        values = values.clamp(min=float(values[-1]) * MIN_VARIANCE)
        spread = values.pow(1 - 2 * power)
        change = (vectors * (values.pow(-power) * (values.sum() / spread.sum()).sqrt())) @ vectors.T
        return change @ weight, -change @ (weight @ mean)

    @torch.no_grad()
    def shared_axes(self, queries: Tensor, responses: Tensor, power: float) -> Tensor:
        """``(D, D)`` rotation of the embeddings, first to the directions in which queries and their responses vary together most.

        The eigenvectors of the symmetric part of the cross-covariance. The first 64 of 256 dimensions keep more so than those of
        the largest variance, part of which is about how a text is worded (`benchmarks/forgiving.py`).

        Args:
            queries: ``(pairs, H)``, the mean of ``z`` over the compression tokens.
            responses: ``(pairs, H)`` likewise, in the order of their queries.
            power: As in `whitened`.
        """
        weight, _ = self.whitened(power)
        first, second = ((one - one.mean(dim=0)).double() @ weight.T for one in (queries, responses))
        cross = first.T @ second
        return torch.linalg.eigh(cross + cross.T).eigenvectors.flip(1).T

    @torch.no_grad()
    def fold(
        self, target_scale: float, partial_whitening: float = 0.0, axes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The method's five tensors, with embeddings in the teacher's own units.

        Args:
            target_scale: Targets were multiplied by this in training.
            partial_whitening: Power of `whitened`.
            axes: ``(D, D)`` rotation of the embeddings, if they are turned.
        """
        mean, scale = self.mean.double(), self.scale.double()
        recon = self.embedding_rms.double() * self.recon.weight.double() / scale
        recon_bias = self.embedding_rms.double() * self.recon.bias.double() - recon @ mean
        align, align_bias = self.align.weight, self.align.bias
        if self.has_teacher:
            weight, bias = self.whitened(partial_whitening)
            if axes is not None:
                weight, bias = axes @ weight, axes @ bias
            direct = weight / scale / target_scale
            condition = float(torch.linalg.cond(self.recon.weight.double()))
            if not condition < MAX_CONDITION:
                raise TrainingError(
                    f"the reconstruction projection became singular (condition {condition:.1e}): lower lr_recon and train again"
                )
            align = torch.linalg.solve(recon.T, direct.T).T
            align_bias = bias / target_scale - direct @ mean - align @ recon_bias
        tensors = {
            "rows": self.rows,
            "recon_weight": recon,
            "recon_bias": recon_bias,
            "align_weight": align,
            "align_bias": align_bias,
        }
        return {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
