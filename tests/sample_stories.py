"""Stories that the tests of the report draw: one that loses a record, and one that loses none."""

from spec.story import (
    Changes,
    FaultBar,
    Lane,
    Narrator,
    Operation,
    Outcome,
    StepKind,
    Story,
    StoryMessage,
    Value,
    log_of,
)


class Teller(Narrator):
    """A narrator with short words for what samples are full of."""

    def tell(
        self, action: str, lane: str, note: str = "", kind: StepKind = "", **state: Value
    ) -> int:
        """A step; `b1_role="leader"` changes a field of a lane."""
        changes: dict[str, dict[str, Value]] = {}
        for name, value in state.items():
            owner, _, field = name.partition("_")
            changes.setdefault(owner, {})[field] = value
        at_ms = self.steps[-1].at_ms + 4 if self.steps else 0
        return self.step(action, lane, at_ms=at_ms, state=changes, note=note, kind=kind)

    def send(self, sender: str, receiver: str, label: str, sent: int, received: int | None) -> None:
        """A message; one that is not received is lost."""
        self.messages.append(
            StoryMessage(
                sender=sender,
                receiver=receiver,
                label=label,
                sent=sent,
                received=received,
                is_lost=received is None,
            )
        )

    def ask(
        self, label: str, started: int, ended: int | None, outcome: Outcome, result: str
    ) -> None:
        """An operation of the client."""
        self.operations.append(
            Operation(
                lane="c1",
                label=label,
                started=started,
                ended=ended,
                outcome=outcome,
                result=result,
            )
        )


def _lanes(*brokers: str, zookeeper: bool = False) -> list[Lane]:
    lanes = [Lane(id="c1", kind="client", name="client c1")]
    lanes += [Lane(id="controller", kind="controller", name="controller")]
    if zookeeper:
        lanes += [Lane(id="zk", kind="zookeeper", name="ZooKeeper")]
    return lanes + [Lane(id=name, kind="broker", name=f"broker {name}") for name in brokers]


def lost_write() -> Story:
    """A follower cuts its log to its own high watermark and is elected (before KIP-101)."""
    story = Teller(
        "A restarted follower forgets a committed record",
        _lanes("b1", "b2"),
        clause="LOG-02",
        partition="orders-0",
    )
    one, two = log_of([(1, "v1")]), log_of([(1, "v1"), (1, "v2")])
    both = ("b1", "b2")
    opening: Changes = {
        "controller": {"who": "b1", "epoch": 1, "leader": "b1", "leader_epoch": 1, "isr": both},
        "b1": {"role": "leader", "leader_epoch": 1, "isr": both, "is_up": True},
        "b2": {"role": "follows b1", "leader_epoch": 1, "isr": both, "is_up": True},
    }
    story.step("initial state", "controller", at_ms=0, state=opening)
    story.tell("start", "b1", b1_log=(), b2_log=(), b1_high_watermark=0, b2_high_watermark=0)
    story.tell("produce(v1, v2)", "c1", "acks=all")
    story.tell("leader_write(b1)", "b1", "Appended, not committed yet.", b1_log=two)
    story.send("c1", "b1", "Produce v1, v2", 2, 3)
    story.tell("follower_fetch(b2)", "b2", b2_log=two, b2_high_watermark=1)
    story.send("b1", "b2", "Fetch: v1, v2", 3, 4)
    story.tell("increment_high_watermark(b1)", "b1", "v2 is committed.", b1_high_watermark=2)
    story.send("b2", "b1", "Fetch(2)", 4, 5)
    story.send("b1", "b2", "Fetch: hw 2", 5, None)
    story.tell("acknowledge(v1, v2)", "c1", "From here on v2 must never be lost.")
    story.send("b1", "c1", "ok @1", 5, 6)
    story.ask("produce v1, v2", 2, 6, "ok", "offset 1")
    story.tell("kill(b2)", "b2", kind="fault", b2_is_up=False)
    note = "b2 cuts its log to its own high watermark, 1."
    story.tell("restart(b2)", "b2", note, "mutant", b2_is_up=True, b2_log=one)
    story.faults.append(FaultBar(lane="b2", label="b2 killed", started=7, ended=8))
    story.tell("produce(v3)", "c1")
    story.tell("kill(b1)", "b1", "b1 dies before b2 fetches again.", "fault", b1_is_up=False)
    story.send("c1", "b1", "Produce v3", 9, None)
    story.ask("produce v3", 9, None, "unknown", "disconnected")
    story.faults.append(FaultBar(lane="b1", label="b1 killed", started=10, ended=None))
    note = "b2 is in the ISR, so this is a clean election; its log lacks v2."
    elected: dict[str, Value] = {"who": "b2", "leader": "b2", "leader_epoch": 2}
    story.step(
        "elect_leader(b2)",
        "controller",
        at_ms=470,
        state={"controller": elected},
        note=note,
        kind="violation",
    )
    story.tell("become_leader(b2)", "b2", b2_role="leader", b2_leader_epoch=2)
    story.send("controller", "b2", "leader, epoch 2", 11, 12)
    return story.story()


def failover() -> Story:
    """The broker that leads and is controller dies; another one takes over both."""
    story = Teller(
        "Failover of leader and controller",
        _lanes("b1", "b2", zookeeper=True),
        partition="orders-0",
        mode="zookeeper",
    )
    log = log_of([(1, "<v1>")])
    story.tell("initial state", "controller", controller_who="b1", controller_isr=("b1", "b2"))
    story.tell("elect", "zk", zk_controller="b1", zk_brokers=("b1", "b2"))
    story.tell("become_leader(b1)", "b1", b1_log=log, b2_log=log, b1_role="leader")
    story.tell("kill(b1)", "b1", kind="fault", b1_is_up=False)
    story.faults.append(FaultBar(lane="b1", label="b1 killed", started=3, ended=None))
    story.tell("session_expires(b1)", "zk", zk_controller=None, zk_brokers=("b2",))
    story.tell("create(/controller)", "b2", zk_controller="b2", controller_who="b2")
    story.tell("elect_leader(b2)", "controller", "b2 was in sync.", b2_role="leader")
    return story.story()


def long_run(steps: int, violation: int | None = None) -> Story:
    """A log that grows by a record at every step, under messages that outlast many steps."""
    story = Teller("A long run", _lanes("b1"), clause="LOG-02", is_logical=True)
    story.tell("initial state", "b1", b1_role="leader", b1_log=(), b1_high_watermark=0)
    story.ask("produce all", 0, steps - 1, "ok", "done")
    for number in range(1, steps):
        kind: StepKind = "violation" if number == violation else ""
        log = log_of(
            [(1, f"v{n}") for n in range(max(0, number - 50), number)], max(0, number - 50)
        )
        story.tell("leader_write(b1)", "b1", kind=kind, b1_log=log, b1_high_watermark=number)
        if number > 10:
            story.send("c1", "b1", "v", number - 10, number)
    return story.story()
