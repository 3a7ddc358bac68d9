"""The revision of a model behind an endpoint: what it makes of fixed probe texts, as no server says which weights it runs.

Two answers to one text are never the same to the last bit: the batch, the precision and the hardware shift them. So the probes
are embedded twice, in batches of different sizes, and how far the two answers are apart measures this server's noise. A model is
the one that was recorded if its probes are no farther from the recorded ones than five times the smaller noise of the two, or
than 0.02 (cosine 0.9998).

Measured with all-MiniLM-L6-v2 on a CPU, as the largest distance between unit vectors of these probes: noise of the batch 7e-7 in
float32, 0.001 in float16, 0.008 in bfloat16. From float32 to float16 0.0016 and to bfloat16 0.01, which count as one model; to
weights of 8 bits 0.043, of 4 bits 0.49, and to a limit of 64 tokens 0.32, which do not.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from genzoo.errors import ZooError

PROBES = (
    "The quick brown fox jumps over the lazy dog.",
    "how do I reset my password",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "Die Rechnung ist bis zum 31. März 2024 zu bezahlen.",
    "def add(a: int, b: int) -> int:\n    return a + b",
    "北极熊生活在北极地区。",
    "$1,299.00 - 15% = ?",
    (
        "A lighthouse keeper wrote in his log every evening. On the first of May the sea was calm, the wind came from the south-west "
        "and four ships passed. On the second a storm rose before noon; he lit the lamp early, counted the seconds between its "
        "flashes, and slept in his chair. By the morning of the third nothing could be seen of the storm but driftwood on the sand."
    ),
)
"""Short enough for every server, yet of several lengths, scripts and kinds, so that another tokenizer or pooling shows too."""
CANARY = PROBES[0]
"""Sent with every request: an answer of another model is recognised before any of it is kept."""
_DIRECTIONS = 32
_IN_ID = 8  # directions that the id is made of
_STEP = 0.25  # to which their values, of variance 1, are rounded for it
_FLOOR = 0.02  # distance below which two models count as one: cosine 0.9998
_MARGIN = 5.0
_FAR = 0.3  # distance beyond which they never do: cosine 0.955
MOST_NOISE = 0.2  # between two answers to one text: cosine 0.98


@dataclass(frozen=True)
class EndpointFingerprint:
    """What a model makes of the probe texts.

    Attributes:
        sketch: `(probes, 32)`: each probe's unit vector on fixed directions of +1 and -1, whatever the width of the embeddings.
        width: Numbers of an embedding.
        noise: Largest distance between the unit vectors of two answers to one probe.
    """

    sketch: np.ndarray
    width: int
    noise: float

    @classmethod
    def of(cls, first: np.ndarray, second: np.ndarray) -> EndpointFingerprint:
        """From two answers to the probes, each of shape `(probes, width)`.

        Raises:
            ZooError: The answers differ so much that no score could be made of them.
        """
        one, other = unit(first), unit(second)
        noise = float(np.linalg.norm(one - other, axis=1).max())
        if noise > MOST_NOISE:
            cosine = 1 - noise**2 / 2
            raise ZooError(
                f"it returned two different embeddings for one text (cosine {cosine:.3f}): no score can be made of them"
            )
        width = one.shape[1]
        return cls(one @ _directions(width), width, noise)

    @cached_property
    def id(self) -> str:
        """40 hex characters, the same on every machine unless noise moves a value across the edge of a step."""
        steps = np.round(self.sketch[:, :_IN_ID] / _STEP).astype(int).tolist()
        return hashlib.sha256(json.dumps([self.width, steps]).encode()).hexdigest()[:40]

    def distance(self, other: EndpointFingerprint) -> float:
        """Largest distance between the unit vectors of one probe, estimated from the sketches; infinite for another width."""
        if self.width != other.width or self.sketch.shape != other.sketch.shape:
            return float("inf")
        return float(np.linalg.norm(self.sketch - other.sketch, axis=1).max() / np.sqrt(_DIRECTIONS))

    def is_same(self, other: EndpointFingerprint) -> bool:
        """Whether both come from one model, as far as the noise lets it be told."""
        return self.distance(other) <= tolerance(min(self.noise, other.noise))

    def is_canary(self, vector: np.ndarray) -> bool:
        """Whether a vector of the probe that every request carries, `CANARY`, comes from this model."""
        here = unit(vector) @ _directions(self.width)
        return float(np.linalg.norm(here - self.sketch[0])) <= tolerance(self.noise) * _DIRECTIONS**0.5

    def record(self) -> dict[str, Any]:
        """As JSON."""
        packed = base64.b64encode(self.sketch.astype("<f4").tobytes()).decode()
        return {"id": self.id, "width": self.width, "noise": self.noise, "sketch": packed}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> EndpointFingerprint:
        """Of what `record` gave."""
        sketch = np.frombuffer(base64.b64decode(record["sketch"]), dtype="<f4").reshape(-1, _DIRECTIONS)
        return cls(sketch.astype(float), int(record["width"]), float(record["noise"]))


def tolerance(noise: float) -> float:
    """Distance of unit vectors up to which two answers to one text come from one model.

    >>> tolerance(0.0), tolerance(0.01), tolerance(0.1)
    (0.02, 0.05, 0.3)
    """
    return min(_FAR, max(_FLOOR, _MARGIN * noise))


def unit(vectors: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    rows = np.asarray(vectors, dtype=float)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(lengths == 0, 1, lengths)


@functools.cache
def _directions(width: int) -> np.ndarray:
    """`(width, 32)` of +1 and -1, the same for ever: numpy's generators may change, SHAKE-256 does not."""
    raw = hashlib.shake_256(b"genzoo endpoint fingerprint").digest(width * _DIRECTIONS // 8)
    return np.unpackbits(np.frombuffer(raw, dtype=np.uint8)).reshape(width, _DIRECTIONS) * 2.0 - 1.0
