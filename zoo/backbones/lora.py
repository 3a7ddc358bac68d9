"""Low-rank changes of a frozen LLM's projections: on while it encodes, off while it decodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.errors import CheckpointError, InputError


class Lora(nn.Module):
    """``W x`` becomes ``W x + B A x`` in the named projections, as long as ``with lora.on()`` holds.

    The backbone's own modules stay as they are: the change is added by hooks, so that one copy serves both passes.

    Args:
        model: Causal LM; gains hooks.
        down: Projection -> ``A (r, in)``.
        up: Projection -> ``B (out, r)``.
        scale: Multiplies the change while it is trained (alpha / r); `tensors` has it folded into ``B``.
    """

    def __init__(self, model: Any, down: Mapping[str, Tensor], up: Mapping[str, Tensor], scale: float = 1.0) -> None:
        super().__init__()
        self.names = sorted(down)
        self.down = nn.ParameterList([down[name].clone().float() for name in self.names])
        self.up = nn.ParameterList([up[name].clone().float() for name in self.names])
        self.scale, self.is_on = scale, False
        modules = dict(model.base_model.named_modules())
        self._handles = [modules[name].register_forward_hook(self._hook(at)) for at, name in enumerate(self.names)]

    @classmethod
    def create(cls, model: Any, rank: int, modules: str, seed: int, alpha: float | None = None) -> Lora:
        """A LoRA that changes nothing yet: A random, B zero."""
        wanted = tuple(word.strip() for word in modules.split(",") if word.strip())
        linear = {name: module for name, module in model.base_model.named_modules() if isinstance(module, nn.Linear)}
        names = {name.rpartition(".")[2] for name in linear}
        lacking = [word for word in wanted if word not in names]
        if lacking or not wanted:
            raise InputError(
                f"no projection is named {', '.join(lacking) or modules}: this backbone has {', '.join(sorted(names))}"
            )
        found = {name: module for name, module in linear.items() if name.rpartition(".")[2] in wanted}
        generator = torch.Generator().manual_seed(seed)
        down = {n: torch.randn(rank, m.in_features, generator=generator) / m.in_features**0.5 for n, m in found.items()}
        up = {name: torch.zeros(module.out_features, rank) for name, module in found.items()}
        return cls(model, down, up, 1.0 if alpha is None else alpha / rank)

    @classmethod
    def from_tensors(cls, model: Any, tensors: Mapping[str, Tensor]) -> Lora:
        """The LoRA of a checkpoint, see `tensors`."""
        check_lora(model.base_model, tensors)
        parts: dict[str, dict[str, Tensor]] = {"down": {}, "up": {}}
        for key, tensor in tensors.items():
            name, _, part = key.rpartition(".")
            parts[part][name] = tensor
        return cls(model, parts["down"], parts["up"])

    def _hook(self, place: int) -> Any:
        def add(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if not self.is_on:
                return None
            change = nn.functional.linear(nn.functional.linear(inputs[0].float(), self.down[place]), self.up[place])
            return output + (self.scale * change).to(output.dtype)

        return add

    @contextmanager
    def on(self) -> Iterator[None]:
        """Changes hold inside the block."""
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False

    def remove(self) -> None:
        """Take the hooks off the backbone again."""
        for handle in self._handles:
            handle.remove()

    def tensors(self) -> dict[str, Tensor]:
        """``<projection>.down`` and ``.up``, on the CPU, ``W + up @ down`` being the changed projection."""
        made: dict[str, Tensor] = {}
        for name, down, up in zip(self.names, self.down, self.up, strict=True):
            made[f"{name}.down"] = down.detach().cpu().contiguous()
            made[f"{name}.up"] = (self.scale * up.detach()).cpu().contiguous()
        return made


def check_lora(body: Any, tensors: Mapping[str, Tensor]) -> None:
    """Check that every tensor of a checkpoint's LoRA has its place.

    Args:
        body: The backbone without its head.
        tensors: As `Lora.tensors` gives them.

    Raises:
        CheckpointError: For a projection that the backbone lacks, half of a pair, another shape, or a tensor of another kind.
    """
    modules = dict(body.named_modules())
    for key in tensors:
        name, _, part = key.rpartition(".")
        if part not in ("down", "up"):
            raise CheckpointError(
                f"the LoRA holds {key}: its tensors must be called <projection>.down and <projection>.up"
            )
        if name not in modules:
            raise CheckpointError(
                f"the backbone has no projection {name}: the LoRA was trained on another architecture"
            )
        down, up = tensors.get(f"{name}.down"), tensors.get(f"{name}.up")
        if down is None or up is None:
            raise CheckpointError(f"the LoRA holds {key} alone: {name}.down and {name}.up belong together")
        wanted, shapes = tuple(modules[name].weight.shape), (tuple(down.shape), tuple(up.shape))
        if not (down.ndim == up.ndim == 2 and (shapes[1][0], shapes[0][1]) == wanted and shapes[1][1] == shapes[0][0]):
            raise CheckpointError(
                f"the LoRA of {name} has shapes {shapes[0]} and {shapes[1]}, its projection has {wanted}: it was trained on another "
                "backbone"
            )


@contextmanager
def changed_by(model: Any, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block a causal LM encodes with a checkpoint's low-rank changes; without any, nothing happens."""
    if not tensors:
        yield
        return
    lora = Lora.from_tensors(model, tensors).to(model.device).requires_grad_(False)
    try:
        with lora.on():
            yield
    finally:
        lora.remove()


@torch.no_grad()
def merge_lora(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Add a checkpoint's low-rank changes to the weights of a model in place.

    Args:
        model: The backbone without its head, as sentence-transformers holds it.
        tensors: ``<projection>.down (r, in)`` and ``<projection>.up (out, r)``.
    """
    check_lora(model, tensors)
    modules = dict(model.named_modules())
    for key in (key for key in tensors if key.endswith(".down")):
        name = key.removesuffix(".down")
        weight = modules[name].weight
        weight += (tensors[f"{name}.up"] @ tensors[key]).to(weight)
