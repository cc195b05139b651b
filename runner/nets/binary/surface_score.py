"""The score of the Vesuvius surface detection competition, with its parts, on the CPU."""

from collections.abc import Sequence
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
import torch
from scipy import ndimage, sparse

from runner.contracts import IGNORE, Batch
from runner.nets.binary.losses import foreground_logit
from runner.nets.binary.overlap import scored_mask
from runner.nets.binary.soft_morphology import distances_within
from runner.nets.binary.topology import CORNERS, Volume, betti_numbers, components
from runner.task import Outputs

TOPOLOGY_SHARE, SURFACE_SHARE, VARIATION_SHARE = 0.30, 0.35, 0.35
"""Of the score."""

DIMENSION_WEIGHTS = (0.34, 0.33, 0.33)
"""Of components, tunnels and cavities in the topological part."""


class SurfaceScore:
    """Scores each labelled volume by itself; the figures are means over volumes.

    Ignored voxels are background to both masks. Unlike most metrics this one waits for the
    device at each batch: to score a volume takes far longer than to wait for it, and so only
    one volume at a time is held.
    """

    def __init__(self, target: str, tolerance_voxels: float, variation_factor: float) -> None:
        """Start without a volume.

        Args:
            target: of the batch; what is compared with the prediction.
            tolerance_voxels: of the surface Dice.
            variation_factor: of the variation of information, in 1 / (1 + factor * variation).
        """
        self._target = target
        self._tolerance_voxels = tolerance_voxels
        self._variation_factor = variation_factor
        self._found: list[dict[str, float]] = []

    def update(self, outputs: Outputs, batch: Batch) -> None:
        """Score a batch of volumes."""
        assert outputs.logits is not None, "the score is of a segmentation's logits"
        logit = foreground_logit(outputs.logits)
        mask, is_labelled = scored_mask(batch, self._target, logit.device)
        predicted = (logit > 0) & (mask != IGNORE)
        for number in is_labelled.flatten().nonzero().flatten().tolist():
            found, true = (each[number].cpu().numpy() for each in (predicted, mask == 1))
            self._found.append(
                surface_score(found, true, self._tolerance_voxels, self._variation_factor)
            )

    def state(self) -> list[dict[str, float]]:
        """Return each volume's figures."""
        return self._found

    def compute(self, states: Sequence[list[dict[str, float]]]) -> dict[str, float]:
        """Return the means over all processes' volumes."""
        found = [each for state in states for each in state]
        return {name: fmean(each[name] for each in found) for name in (found[0] if found else ())}

    def why_absent(self, name: str, _: Sequence[list[dict[str, float]]]) -> str | None:
        """Return what the split lacks for a figure; None for one that is never given."""
        is_own = name in ("", "surface_dice", "topo", "voi", "voi_score", "score")
        return "no volume of the validation split is labelled" if is_own else None


def surface_score(
    predicted: Volume, true: Volume, tolerance_voxels: float, variation_factor: float
) -> dict[str, float]:
    """Return surface_dice, topo, voi (bits), voi_score and the score of them.

    Args:
        predicted, true: (D, H, W) bool, false where ignored.
        tolerance_voxels: of the surface Dice.
        variation_factor: of the variation of information; 0.3 in the competition.
    """
    surface = surface_dice(predicted, true, tolerance_voxels)
    topology = topology_score(predicted, true)
    variation_bits = variation_of_information(predicted, true)
    steadiness = 1 / (1 + variation_factor * variation_bits)
    score = TOPOLOGY_SHARE * topology + SURFACE_SHARE * surface + VARIATION_SHARE * steadiness
    return {
        "surface_dice": surface,
        "topo": topology,
        "voi": variation_bits,
        "voi_score": steadiness,
        "score": score,
    }


def surface_dice(predicted: Volume, true: Volume, tolerance_voxels: float) -> float:
    """Return the share of both surfaces that lies within the tolerance of the other.

    The surface are the voxels with a face to the background or to the end of the volume. Each
    counts alike, where the competition counts the areas of its marching cubes.

    Args:
        predicted, true: (D, H, W) bool.
        tolerance_voxels: Euclidean, between voxel centres.
    Returns: in [0, 1]; 1 where both are empty.
    Source: Nikolov et al. 2021.
    """
    surfaces = [volume & ~ndimage.binary_erosion(volume) for volume in (predicted, true)]
    total = sum(int(surface.sum()) for surface in surfaces)
    if total == 0:
        return 1.0
    if not all(surface.any() for surface in surfaces):
        return 0.0
    near = 0
    for surface, other in (surfaces, surfaces[::-1]):
        # Ten times faster than to find the distances beyond the tolerance too.
        places = torch.from_numpy(other).unsqueeze(0)
        distance_voxels = distances_within(places, int(tolerance_voxels) + 1)[0].numpy()
        near += int((distance_voxels[surface] <= tolerance_voxels).sum())
    return near / total


def topology_score(predicted: Volume, true: Volume) -> float:
    """Return the agreement of the numbers of components, tunnels and cavities.

    Numbers are taken in each octant of the volume and summed over the octants. Matched are, in
    an octant, as many as both have: the competition matches by place, so this is its upper bound.

    Args:
        predicted, true: (D, H, W) bool.
    Returns: in [0, 1]: of each dimension F1 = 2 m / (p + g), or 0.5 / (p + 0.5) where the truth
        has none, weighted over the dimensions in which either has some; 1 where neither has.
    """
    counts = np.array(
        [
            (betti_numbers(predicted[octant]), betti_numbers(true[octant]))
            for octant in octants(true.shape)
        ]
    )
    matched = counts.min(1).sum(0).tolist()
    found, wanted = counts.sum(0).tolist()
    weighted, weights = 0.0, 0.0
    for weight, m, p, g in zip(DIMENSION_WEIGHTS, matched, found, wanted, strict=True):
        if p + g:
            weighted += weight * (2 * m / (p + g) if g else 0.5 / (p + 0.5))
            weights += weight
    return weighted / weights if weights else 1.0


def octants(shape: Sequence[int]) -> list[tuple[slice, ...]]:
    """Return the halves of each edge combined; an edge of one voxel is not halved."""
    halves = [
        [slice(0, edge // 2), slice(edge // 2, edge)] if edge > 1 else [slice(0, 1)]
        for edge in shape
    ]
    return list(product(*halves))


def variation_of_information(predicted: Volume, true: Volume) -> float:
    """Return H(true | predicted) + H(predicted | true) of the connected components, in bits.

    Args:
        predicted, true: (D, H, W) bool; only voxels in either count, and what lies in no
            component of the one counts as a component of it.
    Returns: 0 or more; 0 where both are empty.
    Source: Meilă 2007.
    """
    either = predicted | true
    if not either.any():
        return 0.0
    labels = [components(volume, CORNERS)[0][either] for volume in (predicted, true)]
    ones = np.ones(len(labels[0]))
    joint = sparse.coo_matrix((ones, labels)).tocsr() / len(labels[0])
    together = _entropy_bits(joint.data)
    return max(2 * together - sum(_entropy_bits(joint.sum(axis)) for axis in (0, 1)), 0.0)


def _entropy_bits(shares: Any) -> float:
    values = np.asarray(shares).ravel()
    values = values[values > 0]
    return float(-(values * np.log2(values)).sum())
