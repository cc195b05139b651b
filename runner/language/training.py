"""A recipe's ``train`` block: how long, how much at once, and with what care."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from runner.signature import Strict

MOST = 10**9
"""Steps, epochs or samples beyond which a number is a slip of the keyboard."""

Positive = Annotated[int, Field(gt=0, le=MOST)]


class Every(Strict):
    """A recurring moment: exactly one of the two is written."""

    epochs: Positive | None = None
    steps: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> "Every":
        if (self.epochs is None) == (self.steps is None):
            raise PydanticCustomError("every", "write either epochs or steps")
        return self


class EarlyStopping(Strict):
    """Stop when the monitored metric has not improved for a while."""

    patience: Annotated[Positive, Field(description="evaluations without improvement")]
    min_delta: Annotated[float, Field(ge=0, description="what counts as an improvement")] = 0.0


class Ema(Strict):
    """An exponential moving average of the weights."""

    decay: Annotated[
        float, Field(gt=0, lt=1, description="per step, once the ramp (1+t)/(10+t) has reached it")
    ]
    evaluate: Annotated[
        bool, Field(description="evaluate and export the average instead of the weights")
    ] = True


class Train(Strict):
    """How long, how much at once, and with what care."""

    epochs: Annotated[Positive | None, Field(description="length of the training")] = None
    steps: Annotated[
        Positive | None, Field(description="length of the training in optimizer steps")
    ] = None
    compress_to_steps: Annotated[
        Positive | None,
        Field(
            description="run the whole plan in this many optimizer steps: horizons written "
            "in epochs or steps keep their share of the training"
        ),
    ] = None
    batch_size: Annotated[
        Positive, Field(description="samples in a forward pass, over all processes")
    ]
    accumulate: Annotated[Positive, Field(description="forward passes in an optimizer step")] = 1
    drop_last: Annotated[bool, Field(description="leave out an epoch's last, smaller batch")] = True
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"], Field(description="of the forward pass")
    ] = "fp32"
    clip_norm: Annotated[
        float | None, Field(gt=0, description="largest L2 norm of the gradient")
    ] = None
    lr_scale: Annotated[
        float, Field(gt=0, description="multiplies the optimizer's rates, once")
    ] = 1.0
    ema: Ema | None = None
    evaluate_every: Every = Every(epochs=1)
    early_stopping: EarlyStopping | None = None
    log_every: Annotated[Positive, Field(description="optimizer steps between two log lines")] = 50
    panels: Annotated[int, Field(ge=0, le=64, description="pictures at each evaluation")] = 4
    compile: Annotated[bool, Field(description="compile the model with torch.compile")] = False
    channels_last: Annotated[
        bool, Field(description="store images channels last; faster on CUDA")
    ] = False
    deterministic: Annotated[
        bool, Field(description="deterministic kernels, and a warning where there is none")
    ] = True
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _one_length(self) -> "Train":
        if (self.epochs is None) == (self.steps is None):
            raise PydanticCustomError("length", "write either epochs or steps")
        return self
