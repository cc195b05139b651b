"""Losses of segmentations, and sums of losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from runner.by_class import CONFUSIONS, WEIGHTS
from runner.registry import LossPart, Strict, losses

if TYPE_CHECKING:
    from runner.contracts import DataSpec, Loss

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
ClassWeights = Literal["from_data"] | tuple[NotNegative, ...]


class Term(Strict):
    """A loss of a weighted sum."""

    weight: NotNegative
    loss: LossPart


def _some_weight(terms: dict[str, Term | None]) -> dict[str, Term | None]:
    kept = [term for term in terms.values() if term is not None]
    if not any(term.weight for term in kept):
        what = "every weight is 0, so nothing is trained" if kept else "every term is null"
        message = f"{what}; keep at least one that weighs something"
        raise PydanticCustomError("terms", "{reason}", {"reason": message})
    return terms


@losses.register
def combined_safety(
    spec: DataSpec,
    /,
    *,
    class_weights: Annotated[dict[str, NotNegative] | tuple[NotNegative, ...], WEIGHTS],
    penalties: Annotated[dict[str, dict[str, NotNegative]], CONFUSIONS],
    gamma: NotNegative = 2.0,
    dice_weight: NotNegative = 1.0,
    boundary_weight: NotNegative = 0.5,
    boundary_px: Annotated[int, Field(ge=1)] = 2,
    smooth: Positive = 1.0,
) -> Loss:
    """Focal loss under confusion penalties, plus Dice, plus cross-entropy near boundaries.

    Args:
        class_weights: of the focal term, by class or in the order of the classes.
        penalties: factor of the focal term by true, then predicted class; 1 where not written.
        gamma: exponent of the focal term; the larger, the less do easy pixels count.
        dice_weight: of the soft Dice loss, summed over the batch.
        boundary_weight: of the mean cross-entropy near changes of label.
        boundary_px: width of that band to each side of the change.
        smooth: added to Dice's numerator and denominator, in pixels.
    """
    from runner.nets import class_weights as by_class
    from runner.nets.segmentation_losses import CombinedSafety

    return CombinedSafety(
        by_class.class_weights(class_weights, spec, key="class_weights"),
        by_class.penalty_matrix(penalties, spec, key="penalties"),
        gamma=gamma,
        dice_weight=dice_weight,
        boundary_weight=boundary_weight,
        boundary_px=boundary_px,
        smooth=smooth,
    )


@losses.register
def balanced_focal(
    spec: DataSpec,
    /,
    *,
    alpha: Annotated[ClassWeights, WEIGHTS],
    gamma: NotNegative = 2.0,
    max_alpha: Positive | None = None,
) -> Loss:
    """Focal loss with a weight for each class, averaged over pixels.

    Args:
        alpha: one weight for each class; from_data makes all classes count alike.
        gamma: exponent; the larger, the less do easy pixels count.
        max_alpha: no class weighs more.
    """
    from runner.nets.class_weights import class_weights
    from runner.nets.segmentation_losses import Focal

    weights = class_weights(alpha, spec, key="alpha")
    limit = float("inf") if max_alpha is None else max_alpha
    return Focal([min(weight, limit) for weight in weights], gamma)


@losses.register
def focal(
    spec: DataSpec,
    /,
    *,
    alpha: Positive = 0.25,
    gamma: NotNegative = 2.0,
) -> Loss:
    """Focal loss with one weight for all classes, averaged over pixels.

    Args:
        alpha: factor of the whole loss.
        gamma: exponent; the larger, the less do easy pixels count.
    """
    from runner.nets.segmentation_losses import Focal

    return Focal([alpha] * len(spec.classes), gamma)


@losses.register
def cross_entropy(
    spec: DataSpec,
    /,
    *,
    weights: Annotated[ClassWeights | None, WEIGHTS] = None,
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
) -> Loss:
    """Cross-entropy, the mean over pixels weighted by their class.

    Args:
        weights: one for each class; from_data makes all classes count alike.
        label_smoothing: share of the target that is given to all classes alike.
    """
    from runner.nets.class_weights import class_weights
    from runner.nets.segmentation_losses import CrossEntropy

    if weights is None:
        return CrossEntropy([1.0] * len(spec.classes), label_smoothing)
    return CrossEntropy(class_weights(weights, spec, key="weights"), label_smoothing)


@losses.register
def dice(_: DataSpec, /, *, smooth: Positive = 1.0) -> Loss:
    """One minus the soft Dice overlap of the batch, averaged over classes.

    Args:
        smooth: added to numerator and denominator, in pixels.
    """
    from runner.nets.segmentation_losses import Dice

    return Dice(smooth)


@losses.register
def binary_dice(spec: DataSpec, /, *, smooth: Positive = 1e-5) -> Loss:
    """One minus the soft Dice overlap of the foreground, summed over the batch.

    Args:
        smooth: added to numerator and denominator, in voxels.
    """
    from runner.nets.binary.losses import BinaryDice, check_is_binary

    check_is_binary(spec, "binary_dice")
    return BinaryDice(smooth)


@losses.register
def binary_focal(
    spec: DataSpec,
    /,
    *,
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.25,
    gamma: NotNegative = 2.0,
    alpha_mode: Literal["constant", "balanced"] = "balanced",
    background_weight: NotNegative = 1.0,
    foreground_weight: NotNegative = 1.0,
) -> Loss:
    """Focal loss of the foreground against the background, averaged over voxels.

    Args:
        alpha: of the foreground; what it is of the background, the mode says.
        gamma: exponent; the larger, the less do easy voxels count.
        alpha_mode: balanced gives the background 1 - alpha, constant the same alpha, which then
            only scales the loss.
        background_weight: factor of the background's voxels, beside alpha.
        foreground_weight: factor of the foreground's voxels, beside alpha.
    """
    from runner.nets.binary.losses import BinaryFocal, check_is_binary

    check_is_binary(spec, "binary_focal")
    of_background = 1 - alpha if alpha_mode == "balanced" else alpha
    return BinaryFocal(of_background * background_weight, alpha * foreground_weight, gamma)


@losses.register
def surface_boundary(
    spec: DataSpec, /, *, near_voxels: NotNegative = 3.0, far_voxels: Positive = 5.0
) -> Loss:
    """Cross-entropy in and near the foreground, weighted by the distance to it.

    Args:
        near_voxels: distance up to which a voxel has full weight, as the foreground itself has.
        far_voxels: distance from which it has none; between the two the weight falls linearly.
    """
    from runner.errors import Problem, RecipeError
    from runner.nets.binary.losses import SurfaceBoundary, check_is_binary

    check_is_binary(spec, "surface_boundary")
    if near_voxels >= far_voxels:
        message = (
            f"must be above near_voxels, but {far_voxels:g} is not above {near_voxels:g}; "
            "correct one"
        )
        raise RecipeError(Problem("", "far_voxels", message))
    return SurfaceBoundary(near_voxels, far_voxels)


@losses.register
def cldice(
    spec: DataSpec,
    /,
    *,
    iterations: Annotated[int, Field(ge=1)] = 3,
    smooth: Positive = 1.0,
) -> Loss:
    """One minus the overlap of the masks' skeletons; 0 where all is predicted foreground.

    Args:
        iterations: of the thinning; half the width of the thickest foreground, in voxels.
        smooth: added to numerators and denominators, in voxels.
    """
    from runner.nets.binary.losses import CenterlineDice, check_is_binary

    check_is_binary(spec, "cldice")
    return CenterlineDice(iterations, smooth)


@losses.register
def connectivity(spec: DataSpec, /) -> Loss:
    """Mean squared error of the masks, both dilated by a voxel."""
    from runner.nets.binary.losses import Connectivity, check_is_binary

    check_is_binary(spec, "connectivity")
    return Connectivity()


@losses.register
def weighted_sum(
    spec: DataSpec,
    /,
    *,
    terms: Annotated[
        dict[Annotated[str, Field(pattern=r"^\w+$")], Term | None],
        Field(min_length=1),
        AfterValidator(_some_weight),
    ],
) -> Loss:
    """Several losses, each with its weight and shown under its name.

    Args:
        terms: name to weight and loss; null takes a base's term out.
    """
    from runner.nets.weighted_sum import WeightedSum

    kept = {name: term for name, term in terms.items() if term is not None}
    return WeightedSum({name: (term.weight, term.loss.build(spec)) for name, term in kept.items()})
