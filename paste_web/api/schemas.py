"""What may be sent and what comes back. Field by field the contract; the OpenAPI document is made from it."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from speculation.storable import unstorable
from speculation.submission import LONGEST_TASK_CHARACTERS

MOST_LABELS = 16


def _storable(text: str) -> str:
    if why := unstorable(text):
        raise ValueError(why)
    return text


Text = Annotated[str, AfterValidator(_storable)]
LabelName = Annotated[Text, Field(min_length=1, max_length=64)]
LabelValue = Annotated[Text, Field(max_length=256)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class TaskRequest(BaseModel):
    """A task for an agent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    agent: Annotated[Text, Field(min_length=1, max_length=50, description="Name of the agent.", examples=["support"])]
    task: Annotated[Text, Field(min_length=1, max_length=LONGEST_TASK_CHARACTERS)]
    speculation: Annotated[
        Literal["auto", "on", "off", "shadow"],
        Field(description="auto: the agent's mode and the holdout draw decide. `on` never widens an approval."),
    ] = "auto"
    max_turns: Annotated[int | None, Field(ge=1, le=100)] = None
    timeout_seconds: Annotated[float | None, Field(ge=1, le=86_400)] = None
    labels: Annotated[dict[LabelName, LabelValue], Field(max_length=MOST_LABELS)] = {}


class TaskFilters(BaseModel):
    """Which tasks to list. Newest first."""

    status: Status | None = None
    agent: Annotated[Text | None, Field(max_length=50)] = None
    label: Annotated[list[Text], Field(max_length=MOST_LABELS, description="name:value; may be repeated.")] = []
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[Text | None, Field(max_length=100, description="`next_cursor` of the page before.")] = None


class WaitFor(BaseModel):
    wait_seconds: Annotated[float, Field(ge=0, le=60, description="Answer when the task ends or the time is up.")] = 0


class EventRange(BaseModel):
    after: Annotated[int, Field(ge=0, le=2**31 - 1, description="Only events with a greater seq.")] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class Figures(BaseModel):
    """Of an ended task; in seconds, but the price. Defined under "Numbers" in the documentation."""

    queued_seconds: float
    task_seconds: float
    without_speculation_seconds: float
    saved_seconds: float
    interference_seconds: float
    net_saved_seconds: float
    decode_seconds: float
    waited_seconds: float
    hidden_seconds: float
    wasted_seconds: float
    wasted_price: Annotated[
        float,
        Field(
            description="What calls that ran early and that nobody asked for cost, in the installation's currency "
            "(PASTE_CURRENCY), at the prices of their time; 0 where no tool has a price."
        ),
    ]
    launches: int
    hits: int
    eligible_calls: int


class TaskDocument(BaseModel):
    id: str
    status: Status
    agent: str
    model: Annotated[str, Field(description='"scripted" where no real model decides.')]
    speculation: str
    arm: Literal["on", "off", "shadow", "holdout"]
    labels: dict[str, str]
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    answer: str | None
    error: str | None
    figures: Figures | None
    url: str
    events_url: str
    ui_url: str


class TaskPage(BaseModel):
    tasks: list[TaskDocument]
    next_cursor: str | None


class EventDocument(BaseModel):
    seq: int
    kind: str
    at: Moment
    payload: dict[str, Any]


class EventPage(BaseModel):
    events: list[EventDocument]
    next_after: int
    final: Annotated[bool, Field(description="True if no further event will ever come.")]


class ProblemDocument(BaseModel):
    """Every refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    request_id: str
    detail: str
    errors: list[dict[str, str]]
