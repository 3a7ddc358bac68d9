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
from genzoo.models.readout import PolicyHead, Readout

MAX_CONDITION = 1e6


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
        self.dim = dim or hidden
        self.align = nn.Linear(hidden, self.dim)
        self.register_buffer("mean", torch.zeros(hidden))
        self.register_buffer("scale", torch.ones(hidden))
        self.register_buffer("embedding_rms", torch.tensor(float(embedding_rms)))
        # Running normal equations of the alignment: inputs are mean z and a constant 1.
        self.register_buffer("gram", torch.zeros(hidden + 1, hidden + 1, dtype=torch.float64))
        self.register_buffer("cross", torch.zeros(hidden + 1, self.dim, dtype=torch.float64))
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
        inputs = _with_constant(pooled)
        self.gram.mul_(keep).addmm_(inputs.T, inputs)
        self.cross.mul_(keep).addmm_(inputs.T, targets.double())

    @torch.no_grad()
    def solve_alignment(self, ridge: float) -> None:
        """Set the alignment to the ridge regression on what is remembered.

        Args:
            ridge: Added to the diagonal; the constant is not held back.
        """
        solution = _ridge(self.gram, self.cross, ridge)
        self.align.weight.copy_(solution[:, :-1])
        self.align.bias.copy_(solution[:, -1])

    @torch.no_grad()
    def fold(
        self, readout: Readout | None, axes: Tensor | None = None, policy: PolicyHead | None = None
    ) -> dict[str, Tensor]:
        """The method's five tensors.

        Args:
            readout: What becomes the embedding; None where there is no teacher: then it is the mean soft prompt.
            axes: ``(dimensions, D)`` turn of the readout's embeddings, if they are turned.
            policy: What `Readout.policy_head` gave; the embeddings lose what they had on its axis.
        """
        recon, recon_bias = self._recon()
        align, align_bias = self.align.weight.detach(), self.align.bias.detach()
        if readout is not None:
            condition = float(torch.linalg.cond(self.recon.weight.double()))
            if not condition < MAX_CONDITION:
                raise TrainingError(
                    f"the reconstruction projection became singular (condition {condition:.1e}): lower lr_recon and train again"
                )
            align, align_bias = self._of_soft_prompts(*readout.finished(axes, policy))
        tensors = {
            "rows": self.rows,
            "recon_weight": recon,
            "recon_bias": recon_bias,
            "align_weight": align,
            "align_bias": align_bias,
        }
        return {name: _for_good(tensor) for name, tensor in tensors.items()}

    @torch.no_grad()
    def fold_policy(self, policy: PolicyHead, axes: Tensor | None = None) -> dict[str, Tensor]:
        """What a policy adds to the embeddings of `fold`, read from mean soft prompts."""
        weight, bias = self._of_soft_prompts(policy.weight[None], policy.bias)
        direction = policy.direction if axes is None else axes @ policy.direction
        return {"weight": _for_good(weight[0]), "bias": _for_good(bias), "direction": _for_good(direction)}

    def _recon(self) -> tuple[Tensor, Tensor]:
        """The reconstruction projection of states as they are: weight ``(H, H)`` and bias ``(H,)``."""
        weight = self.embedding_rms.double() * self.recon.weight.double() / self.scale.double()
        return weight, self.embedding_rms.double() * self.recon.bias.double() - weight @ self.mean.double()

    def _of_soft_prompts(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """A map of ``z`` as one of soft prompts."""
        recon, recon_bias = self._recon()
        direct = weight / self.scale.double()
        made = torch.linalg.solve(recon.T, direct.T).T
        return made, bias - direct @ self.mean.double() - made @ recon_bias


def _for_good(tensor: Tensor) -> Tensor:
    return tensor.detach().float().cpu().contiguous()


def _with_constant(pooled: Tensor) -> Tensor:
    """``(texts, H + 1)`` in double precision, the last a constant 1."""
    return torch.cat([pooled.double(), pooled.new_ones(len(pooled), 1).double()], dim=1)


def _ridge(gram: Tensor, cross: Tensor, ridge: float) -> Tensor:
    """Solution ``(outputs, H + 1)`` of the normal equations; the constant, which is last, is not held back."""
    diagonal = torch.full((len(gram),), ridge, dtype=torch.float64, device=gram.device)
    diagonal[-1] = 1e-6
    return torch.linalg.solve(gram + torch.diag(diagonal), cross).T
