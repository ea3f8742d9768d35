"""The space-time diagram of a story, as SVG: a row for each step, a lane for each participant.

The list of steps beside it is its vertical axis: a row is `ROW` pixels high in both, so list,
diagram and slider agree. Beside each broker's lane two small curves go to the right with offsets:
the end of its log and its high watermark; a truncation is a jump to the left.
"""

from collections.abc import Iterator, Sequence

from reports.stories import Shown
from reports.text import escaped
from reports.wire import cut
from spec.story import (
    FaultBar,
    Lane,
    LaneKind,
    LogEntry,
    Operation,
    State,
    StoryMessage,
    log_end_offset,
)

ROW = 26
"""Pixels; report.css gives the rows of the list the same height."""
WIDTHS: dict[LaneKind, int] = {"client": 96, "controller": 96, "zookeeper": 96, "broker": 132}
LANE_AT = 18
"""Where in its column a lane is."""
CURVES_AT, CURVES_WIDTH, OFFSET_WIDTH_MAX = 8, 66, 14
LABELLED_STEPS = 60
"""Beyond so many steps, arrows have their labels in a tooltip only."""
LETTER = 5.4
"""About the width of a letter of the diagram, in pixels."""
STUB = 0.62
"""How far along its way a message is drawn that does not arrive."""
MARKS = {"ok": "✓", "fail": "✕", "unknown": "?"}


class Diagram:
    """Draws one story. `svg()` is the whole element, `heads()` the names over the lanes."""

    def __init__(self, shown: Shown) -> None:
        self.shown, self.story = shown, shown.story
        self.left: dict[str, int] = {}
        """Of each lane's column."""
        right = 0
        for lane in self.story.lanes:
            self.left[lane.id] = right
            right += WIDTHS[lane.kind]
        self.width, self.height = right + 6, ROW * len(self.story.steps)
        self.is_labelled = len(self.story.steps) <= LABELLED_STEPS
        self._last = len(self.story.steps) - 1
        self._taken: list[tuple[float, float, float]] = []
        """Where labels and dots are: left, right and middle."""

    def heads(self) -> list[tuple[Lane, int, int]]:
        """Each lane, where its column begins and how wide it is."""
        return [(lane, self.left[lane.id], WIDTHS[lane.kind]) for lane in self.story.lanes]

    def svg(self) -> str:
        """The SVG element, safe to stand in a page."""
        told = f"{len(self.story.steps)} steps over "
        told += ", ".join(cut(lane.name, 40) for lane in self.story.lanes)
        if self.story.violation is not None:
            told += f"; first violation at step {self.shown.first + self.story.violation}"
        parts = [*self._grounds(), *self._brokers(), *self._operations(), *self._changes()]
        parts += [*self._dots(), *self._messages(), *self._violation()]
        size = f'width="{self.width}" height="{self.height}"'
        box = f'viewBox="0 0 {self.width} {self.height}"'
        label = escaped(f"{told}. The list of steps beside it says the same in words.")
        head = f'<svg class="spacetime" {size} {box} role="img" aria-label="{label}">'
        return head + "".join(parts) + "</svg>"

    def _x(self, lane: str) -> int:
        return self.left[lane] + LANE_AT

    @staticmethod
    def _y(step: int) -> int:
        return step * ROW + ROW // 2

    # ---- what lies under everything -------------------------------------------------------------

    def _grounds(self) -> Iterator[str]:
        at, row = self.shown.telling * ROW, f'x="0" width="{self.width}" height="{ROW}"'
        if self.story.violation is not None:
            yield f'<rect class="bad-row" {row} y="{at}"/>'
        yield f'<rect class="at js" {row} y="{at}"/>'
        for bar in self.story.faults:
            yield self._fault(bar)
        for lane in self.story.lanes:
            yield f'<path class="lane" d="M{self._x(lane.id)} 0V{self.height}"/>'

    def _fault(self, bar: FaultBar) -> str:
        kind = next(lane.kind for lane in self.story.lanes if lane.id == bar.lane)
        x, y, width = self.left[bar.lane] + 6, bar.started * ROW + 3, WIDTHS[kind] - 8
        end = self.height - 3 if bar.ended is None else bar.ended * ROW
        height = max(end - y, ROW - 6)
        text = f"✕ {cut(bar.label, 60)}"
        room = int((width - 6) / LETTER)
        said = text if len(text) <= room else f"{text[: room - 1]}…"
        self._take(x + width - 3 - LETTER * len(said), x + width, self._y(bar.started))
        return (
            f'<g class="fault-bar"><rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3"'
            f' fill="url(#hatch)"/><text x="{x + width - 3}" y="{self._y(bar.started) + 4}"'
            f' text-anchor="end">{escaped(said)}</text>'
            f"<title>{escaped(cut(bar.label, 200))}</title></g>"
        )

    # ---- brokers --------------------------------------------------------------------------------

    def _brokers(self) -> Iterator[str]:
        states = self.shown.states
        longest = max((_end(s, b) or 0 for s in states for b in self.story.brokers), default=0)
        starts = [_start(s, b) for s in states for b in self.story.brokers if _end(s, b)]
        lowest = min(starts, default=0)
        scale = min(OFFSET_WIDTH_MAX, CURVES_WIDTH / max(longest - lowest, 1))
        for broker in self.story.brokers:
            leads = [
                s[broker]["role"] == "leader" and s[broker]["is_up"] is not False for s in states
            ]
            yield from self._thick(broker, leads, 0, "leads", f"{broker} leads")
            rules = [any(s[c.id]["who"] == broker for c in self._controllers()) for s in states]
            yield from self._thick(broker, rules, -5, "rules", f"{broker} is the controller")
            left = self._x(broker) + CURVES_AT - lowest * scale
            ends = [_end(s, broker) for s in states]
            yield _curve("log-end", [None if v is None else left + v * scale for v in ends])
            marks = [_mark(s, broker) for s in states]
            yield _curve("watermark", [None if v is None else left + v * scale for v in marks])
            yield from self._watermarks(broker, marks)

    def _controllers(self) -> list[Lane]:
        return [lane for lane in self.story.lanes if lane.kind == "controller"]

    def _thick(
        self, broker: str, holds: Sequence[bool], aside: int, name: str, title: str
    ) -> Iterator[str]:
        """A line beside or on the lane as long as something holds."""
        x = self._x(broker) + aside
        for first, end in _spans(holds):
            bottom = self.height if end == len(holds) else self._y(end)
            yield f'<path class="{name}" d="M{x} {self._y(first)}V{bottom}">'
            yield f"<title>{escaped(title)}</title></path>"

    def _watermarks(self, broker: str, marks: Sequence[int | None]) -> Iterator[str]:
        """What the high watermark moved to, at the right of the curves."""
        x = self.left[broker] + WIDTHS["broker"] - 6
        for step in range(1, len(marks) if self.is_labelled else 0):
            before, mark = marks[step - 1], marks[step]
            if mark is not None and before is not None and mark != before:
                text = f"hw {mark}"
                self._take(x - LETTER * len(text), x, self._y(step))
                yield f'<text class="hw" x="{x}" y="{self._y(step) + 4}">{text}</text>'

    # ---- what happens ---------------------------------------------------------------------------

    def _operations(self) -> Iterator[str]:
        for operation in self.story.operations:
            yield self._operation(operation)

    def _operation(self, operation: Operation) -> str:
        is_open = operation.ended is None
        end = self.height if operation.ended is None else self._y(operation.ended) + 4
        x, width = (
            (self._x(operation.lane) - 14, 6) if is_open else (self._x(operation.lane) - 5, 10)
        )
        y = self._y(operation.started) - 4
        bar = f'<rect x="{x}" y="{y}" width="{width}" height="{max(end - y, 8)}" rx="3"/>'
        title = escaped(cut(f"{operation.label}: {operation.outcome} {operation.result}", 300))
        label = self._outcome(operation) if self.is_labelled else ""
        return f'<g class="op {operation.outcome}">{bar}{label}<title>{title}</title></g>'

    def _outcome(self, operation: Operation) -> str:
        """The label of an operation, in the row after it began."""
        text = f"{MARKS[operation.outcome]} {cut(operation.label, 60)}"
        room = int((WIDTHS["client"] - LANE_AT - 10) / LETTER)
        said = text if len(text) <= room else f"{text[: room - 1]}…"
        x = self._x(operation.lane) + 9
        y = min(
            self._y(operation.started + (operation.ended != operation.started)), self._y(self._last)
        )
        self._take(x, x + LETTER * len(said), y)
        return f'<text x="{x}" y="{y + 4}">{escaped(said)}</text>'

    def _changes(self) -> Iterator[str]:
        """Who is controller, at the controller's lane and at ZooKeeper's, wherever it changes."""
        states = self.shown.states
        for lane in self.story.lanes:
            key = {"controller": "who", "zookeeper": "controller"}.get(lane.kind, "")
            for step in range(1, len(states) if key and self.is_labelled else 0):
                who = states[step][lane.id][key]
                if who == states[step - 1][lane.id][key]:
                    continue
                text = f"→ {'nobody' if who is None else cut(str(who), 12)}"
                x = self._x(lane.id) + 8
                self._take(x, x + LETTER * len(text), self._y(step) - 8)
                yield f'<text class="who" x="{x}" y="{self._y(step) - 4}">{escaped(text)}</text>'

    def _dots(self) -> Iterator[str]:
        for number, step in enumerate(self.story.steps):
            x, y = self._x(step.lane), self._y(number)
            self._take(x - 5, x + 5, y)
            kind = f" {step.kind}" if step.kind else ""
            yield f'<circle class="dot{kind}" cx="{x}" cy="{y}" r="3.5"/>'

    def _messages(self) -> Iterator[str]:
        for message in self.story.messages:
            yield self._message(message)

    def _message(self, message: StoryMessage) -> str:
        x1, y1 = float(self._x(message.sender)), float(self._y(message.sent))
        x2 = float(self._x(message.receiver))
        aside = 5 if x2 > x1 else -5
        title = escaped(cut(message.label, 200))
        if message.received is None:
            x2, y2 = x1 + (x2 - x1) * STUB, y1 + ROW * STUB
            kind, attributes = ("lost", "") if message.is_lost else ("on-its-way", "")
            mark = "✕" if message.is_lost else "…"
            end = f'<text class="end" x="{_number(x2)}" y="{_number(y2 + 4)}">{mark}</text>'
            title += " (lost)" if message.is_lost else " (still on its way at the end)"
        else:
            y2, x2 = float(self._y(message.received)), x2 - aside
            kind, attributes, end = "", f' data-to="{message.received}"', ""
        arrow = "" if message.received is None else ' marker-end="url(#arrow)"'
        path = f'd="M{_number(x1 + aside)} {_number(y1)}L{_number(x2)} {_number(y2)}"'
        label = self._label(cut(message.label, 40), (x1, y1), (x2, y2))
        return (
            f'<g class="message {kind}" data-from="{message.sent}"{attributes}>'
            f"<path {path}{arrow}/>{label}{end}<title>{title}</title></g>"
        )

    def _label(self, text: str, a: tuple[float, float], b: tuple[float, float]) -> str:
        """The text at the first place along the arrow that is free; nothing if none is."""
        half = LETTER * len(text) / 2
        for part in (0.5, 0.35, 0.65, 0.22, 0.78) if self.is_labelled and text else ():
            x, y = a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part - 4
            inside = half <= x <= self.width - half and y > 8
            if inside and self._is_free(x - half, x + half, y - 4):
                self._take(x - half, x + half, y - 4)
                return f'<text x="{_number(x)}" y="{_number(y)}">{escaped(text)}</text>'
        return ""

    def _take(self, left: float, right: float, middle: float) -> None:
        self._taken.append((left, right, middle))

    def _is_free(self, left: float, right: float, middle: float) -> bool:
        return not any(
            left < taken_right and taken_left < right and abs(middle - taken_middle) < 10
            for taken_left, taken_right, taken_middle in self._taken
        )

    def _violation(self) -> Iterator[str]:
        if self.story.violation is not None:
            y = self.story.violation * ROW
            frame = f'<rect x="1" y="{y + 1}" width="{self.width - 2}" height="{ROW - 2}" rx="3"/>'
            at = f'x="{self.width - 6}" y="{y + ROW // 2 + 4}" text-anchor="end"'
            text = f"<text {at}>✕ {escaped(self.shown.clause)}</text>"
            yield f'<g class="violated">{frame}{text}</g>'


def _end(state: State, broker: str) -> int | None:
    """The log end offset, where the log was observed."""
    log, start = state[broker]["log"], state[broker]["log_start_offset"]
    if not isinstance(log, tuple):
        return None
    entries = tuple(entry for entry in log if isinstance(entry, LogEntry))
    return log_end_offset(entries, start if isinstance(start, int) else None)


def _start(state: State, broker: str) -> int:
    """The offset of the first entry shown."""
    log = state[broker]["log"]
    first = log[0] if isinstance(log, tuple) and log else None
    return first.base_offset if isinstance(first, LogEntry) else 0


def _mark(state: State, broker: str) -> int | None:
    mark = state[broker]["high_watermark"]
    return mark if isinstance(mark, int) else None


def _spans(holds: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Where it begins to hold, and where it ends."""
    first = None
    for step, now in enumerate([*holds, False]):
        if now and first is None:
            first = step
        elif not now and first is not None:
            yield first, step
            first = None


def _curve(name: str, at: Sequence[float | None]) -> str:
    """Steps downwards: at each row as far right as the value is then. Gaps where it is unknown."""
    path, drawn = "", None
    for step, x in enumerate(at):
        y = step * ROW + ROW // 2
        if x is None:
            path += f"V{y}" if drawn is not None else ""
        elif drawn is None:
            path += f"M{_number(x)} {y}"
        elif x != drawn:
            path += f"V{y}H{_number(x)}"
        drawn = x
    if not path:
        return ""
    return f'<path class="{name}" d="{path}{f"V{len(at) * ROW}" if drawn is not None else ""}"/>'


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
