"""Self-training: a segmentation that also learns from its own labels of unlabelled images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from runner.contracts import Batch, DataSpec, Progress
from runner.nets.confusion import confusion_counts, mean_iou
from runner.nets.pseudo_labels import PseudoLabels, confident_labels, of_pixels
from runner.nets.teacher import Teacher
from runner.task import Outputs, Task
from runner.tasks.segmentation import Segmentation, labelled_mask
from runner.tasks.step_figures import StepFigures


class SelfTraining(Task):
    """Trains a segmentation on masks, and on pseudo-labels where there are none.

    One pass of the student sees the whole batch, unlabelled samples in their strong view where
    the data set makes one; the loss is then asked twice, each time ignoring the other's pixels.

    Attributes:
        task: the student.
        teacher: follows the student and labels in its place; None where it labels itself.
        thresholds: (K,) confidence of each class above which a label is believed.
        weight: of the loss of pseudo-labels.
        start_step: of the plan as written; before it pseudo-labels weigh nothing.
        evaluates_teacher: whether evaluations look at the teacher.
    """

    thresholds: Tensor

    def __init__(
        self,
        spec: DataSpec,
        task: Segmentation,
        *,
        thresholds: Sequence[float],
        weight: float,
        start_step: int,
        teacher_decay: float | None,
        evaluates_teacher: bool,
    ) -> None:
        super().__init__(spec)
        assert teacher_decay is not None or not evaluates_teacher, "there is no teacher"
        self.task = task
        self.teacher = None if teacher_decay is None else Teacher(task, teacher_decay)
        self.register_buffer("thresholds", torch.tensor(thresholds))
        self.weight = weight
        self.start_step = start_step
        self.evaluates_teacher = evaluates_teacher
        self._figures = StepFigures("pseudo/count")

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the student's terms of true labels, and as ``pseudo/...`` of pseudo-labels."""
        labels = self.pseudo_labels(batch)
        predicted = self.task.predicted(replace(batch, image=self._student_view(batch)))
        truth = labelled_mask(batch)
        terms = self.task.terms(predicted, truth)
        weight = self.weight if progress.step >= self.start_step else 0.0
        for name, term in self.task.terms(predicted, labels.mask).items():
            terms[f"pseudo/{name}"] = weight * term
        finest = predicted[0] if isinstance(predicted, tuple) else predicted
        figures = labels.figures(batch.target["mask"].long(), self.spec.classes)
        miou = mean_iou(confusion_counts(finest.detach(), truth))
        self._figures.note({**figures, "miou": miou})
        return terms

    @torch.no_grad()
    def pseudo_labels(self, batch: Batch) -> PseudoLabels:
        """Return the labels of the batch's weak views."""
        # The teacher sees the weak view: strong noise corrupts labels.
        if self.teacher is not None:
            logits = self.teacher.net.logits(batch)
        else:
            was_training = self.task.training
            self.task.eval()
            logits = self.task.logits(batch)
            self.task.train(was_training)
        return confident_labels(logits, self.thresholds, batch.is_labelled)

    def figures(self) -> Mapping[str, Tensor]:
        """Return how the step's pseudo-labels do, and ``miou`` of its labelled pixels."""
        return self._figures.take()

    def after_step(self, progress: Progress) -> None:
        """Let the teacher follow."""
        self.task.after_step(progress)
        if self.teacher is not None:
            self.teacher.follow(self.task)

    def outputs(self, batch: Batch) -> Outputs:
        """Return those of the student, or of its teacher."""
        return self._evaluated().outputs(batch)

    def assess(self, batch: Batch, progress: Progress) -> tuple[dict[str, Tensor], Outputs]:
        """Return losses and outputs of the student, or of its teacher, on true labels."""
        return self._evaluated().assess(batch, progress)

    def panels(self, batch: Batch, outputs: Outputs) -> Sequence[np.ndarray]:
        """Return the segmentation's."""
        return self.task.panels(batch, outputs)

    def _evaluated(self) -> Segmentation:
        if self.evaluates_teacher:
            assert self.teacher is not None, "checked when it was made"
            net: Segmentation = self.teacher.net
            return net
        return self.task

    def _student_view(self, batch: Batch) -> Tensor:
        strong: Tensor | None = batch.target.get("strong")
        if strong is None:
            return batch.image
        return torch.where(of_pixels(batch.is_labelled, batch.image), batch.image, strong)
