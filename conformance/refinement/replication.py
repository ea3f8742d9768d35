"""Whether what brokers do to one partition are steps of the message-level model of replication.

After each event the names of the model's actions follow from what has changed at the broker; each
is taken, and then what can be seen of the broker must be what the model has. A name may depend on
the state after the action before it. Decisions enter the model when a broker first acts on them:
the controller's own state is not looked at. What is only sent is not compared, only what arrives.
"""

from typing import Any

from conformance.refinement.carried import (
    APPLIED,
    ELR,
    EPOCH,
    HIGH_WATERMARK,
    ISR,
    LEADER,
    LEADING,
    LIFE,
    LOG_END,
    LOG_ID,
    NEWEST,
    PENDING,
    REMEMBERED,
    REMEMBERED_LIFE,
    BrokenRule,
    Carried,
)
from conformance.refinement.decisions import Action, Change, creation
from conformance.refinement.records import Batches
from reference.messages import ReplicaFetch, ReplicaFetched
from reference.metadata.records import NO_LEADER, PartitionId, PartitionState
from reference.replica import Replica

NOBODY = -1
"""How a state of the model says that there is no such broker."""


class Differs(Exception):
    """What is seen of the cluster is not what the model has."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class Outside(Exception):
    """The partition does what the model does not speak of."""


class ReplicationValidator:
    """The model's state of one partition, carried along."""

    def __init__(
        self,
        partition: PartitionId,
        nodes: tuple[int, ...],
        decided: list[PartitionState],
        *,
        invariants: bool = False,
    ) -> None:
        """`decided` grows while the cluster runs: all states that the controller has committed."""
        self.partition = partition
        self.number = {node: index for index, node in enumerate(nodes)}
        self.carried = Carried(len(nodes), invariants=invariants)
        self.batches = Batches()
        self.replicas: dict[int, Replica] = {}
        """What each node had of the partition when it was last looked at."""
        self.decided = decided
        self._versions: list[int] = []
        """The model's number of each decision that has entered the model."""
        self._lives: list[dict[int, int]] = [{} for _ in nodes]
        """For each broker, its life in the model by its broker epoch in the cluster."""

    # ---- decisions -----------------------------------------------------------------------------

    def _version(self, partition_epoch: int) -> int:
        """The model's number of a decision, which enters the model now if it has not yet."""
        versions = self._versions
        while len(versions) <= partition_epoch:
            if len(versions) == len(self.decided):
                text = f"partition epoch {partition_epoch} was never decided"
                raise Differs("partition_epoch", text)
            self._enter(self.decided[len(versions)])
        return versions[partition_epoch]

    def _enter(self, state: PartitionState) -> None:
        carried = self.carried
        if state.recovering:
            raise Outside(f"an unclean election in partition epoch {state.partition_epoch}")
        actions: list[Action]
        if not self._versions:
            actions = creation(state, self.number)
        else:
            actions = Change(
                before=self.decided[len(self._versions) - 1],
                after=state,
                number=self.number,
                version=self._versions[-1],
                life=carried.state[LIFE],
                was_asked=lambda asked: carried.allows("controller_alter_partition", asked),
            ).actions()
        for action, params in actions:
            carried.take(action, *params)
        self._compare_decision(state)
        self._versions.append(carried.state[NEWEST])

    def _compare_decision(self, state: PartitionState) -> None:
        now = self.carried.state
        newest, number = now[NEWEST], self.number
        leader = NOBODY if state.leader == NO_LEADER else number[state.leader]
        want = {
            "leader": (leader, now[LEADER][newest]),
            "leader epoch": (state.leader_epoch, now[EPOCH][newest]),
            "ISR": (state.isr, self._members(now[ISR][newest])),
            "ELR": (state.elr, self._members(now[ELR][newest])),
        }
        for field, (seen, expected) in want.items():
            if seen != expected:
                text = f"{field} of partition epoch {state.partition_epoch}"
                raise Differs("decision", f"{text} is {seen}, the model says {expected}")

    def _members(self, row: tuple[bool, ...]) -> tuple[int, ...]:
        return tuple(sorted(node for node, index in self.number.items() if row[index]))

    # ---- what a broker has done ----------------------------------------------------------------

    def produced(self, node: int, replica: Replica) -> None:
        """A client's request was handled: batches were appended, or not."""
        me = self.number[node]
        self._name_writes(me, replica)
        self._name_increments(me, replica)
        self._compare(me, replica)

    def heard_fetch(self, node: int, replica: Replica, follower: int, fetch: ReplicaFetch) -> None:
        """A follower's request arrived. If the leader counts it, it remembers its offset."""
        leadership = replica.leadership
        progress = leadership.followers.get(follower) if leadership else None
        me, carried = self.number[node], self.carried
        if progress is not None:
            other, now = self.number[follower], carried.state
            life = self._life(other, progress.broker_epoch)
            log, length = now[LOG_ID][me], now[LOG_END][me]
            is_same = life in (NOBODY, now[REMEMBERED_LIFE][me][other])
            remembered = self.batches.offset(log, now[REMEMBERED][me][other])
            if max(progress.end_offset, 0) != remembered or not is_same:
                place = self.batches.place(log, length, fetch.offset)
                epoch, last_epoch = fetch.leader_epoch, fetch.last_epoch
                carried.take("leader_handle_fetch", me, other, life, epoch, place, last_epoch)
            self._compare_remembered(me, other, progress.end_offset)
        self._name_increments(me, replica)
        self._name_pending(me, replica)
        self._compare(me, replica)

    def heard_response(self, node: int, replica: Replica, fetched: ReplicaFetched) -> None:
        """The leader has answered a follower."""
        me, carried = self.number[node], self.carried
        epoch, log = fetched.leader_epoch, replica.log
        if fetched.restart:
            self._name_restart(me, epoch)
        elif log.end_offset < self._end_offset(me):
            now = carried.state
            kept = self.batches.place(now[LOG_ID][me], now[LOG_END][me], log.end_offset)
            carried.take("follower_truncate", me, epoch, kept)
        before = carried.state[LOG_END][me]
        while self._end_offset(me) < log.end_offset:
            carried.take("follower_append", me, epoch)
        self._compare_contents(me, replica, before)
        if self._high_watermark(me) != replica.high_watermark:
            now = carried.state
            place = self.batches.place(now[LOG_ID][me], now[LOG_END][me], replica.high_watermark)
            carried.take("follower_learn_high_watermark", me, epoch, place)
        self._compare(me, replica)

    def _name_restart(self, me: int, epoch: int) -> None:
        """The follower begins at the start of the leader's log. In the model it has all before it,
        as if it had been fetched and deleted; of its own log it keeps what agrees."""
        carried = self.carried
        while not carried.allows("follower_append", (me, epoch)):
            kept = carried.state[LOG_END][me] - 1
            if kept < 0 or not carried.allows("follower_truncate", (me, epoch, kept)):
                return
            carried.take("follower_truncate", me, epoch, kept)

    def checked_isr(self, node: int, replica: Replica) -> None:
        """The leader may have asked for another ISR."""
        me = self.number[node]
        self._name_pending(me, replica)
        self._compare(me, replica)

    def heard_metadata(
        self, node: int, replica: Replica | None, broker_epoch: int, heard: tuple[int, ...]
    ) -> None:
        """Metadata arrived, with these partition epochs in their order.

        `replica` is what the node has of the partition now, `broker_epoch` its own life.
        """
        me, known = self.number[node], self.replicas.get(node)
        if replica is not known:
            if known is not None and replica is None:
                self._dropped(me, heard)
            elif replica is not None:
                self._opened(me, replica, is_back=known is not None or bool(self._lives[me]))
                heard = (replica.state.partition_epoch,)
            if replica is None:
                self.replicas.pop(node, None)
            else:
                self.replicas[node] = replica
        if replica is None:
            return
        self._lives[me].setdefault(broker_epoch, self.carried.state[LIFE][me])
        self._name_decisions(me, replica, heard)
        self._name_increments(me, replica)
        self._name_pending(me, replica)
        self._compare(me, replica)
        if replica.leadership:
            for follower, progress in replica.leadership.followers.items():
                self._compare_remembered(me, self.number[follower], progress.end_offset)

    def _dropped(self, me: int, heard: tuple[int, ...]) -> None:
        """It is no replica any more, and has deleted its log; it may become one anew."""
        version = self._version(heard[-1]) if heard else self.carried.state[NEWEST]
        self.carried.take("restart_without_tail", me, 0, 0, version)
        self._lives[me].clear()

    def _opened(self, me: int, replica: Replica, *, is_back: bool) -> None:
        """A broker has found its log on its disk: memory is gone, and perhaps the log's tail."""
        carried = self.carried
        version = self._version(replica.state.partition_epoch)
        now = carried.state
        length, log = now[LOG_END][me], now[LOG_ID][me]
        kept = self.batches.place(log, length, replica.log.end_offset)
        mark = min(now[HIGH_WATERMARK][me], self.batches.place(log, kept, replica.high_watermark))
        if kept < length:
            carried.take("restart_without_tail", me, kept, mark, version)
        elif is_back:
            carried.take("restart", me, mark)

    # ---- naming --------------------------------------------------------------------------------

    def _name_writes(self, me: int, replica: Replica) -> None:
        log, end_offset = replica.log, self._end_offset(me)
        if log.end_offset == end_offset:
            return
        first = len(log.headers)
        while first and log.headers[first - 1].base_offset >= end_offset:
            first -= 1
        for index in range(first, len(log.headers)):
            self.carried.take("leader_write", me)
            header = log.headers[index]
            self.batches.add(header.leader_epoch, header.end_offset, log.batches[index])

    def _name_increments(self, me: int, replica: Replica) -> None:
        while self._high_watermark(me) < replica.high_watermark:
            self.carried.take("leader_increment_high_watermark", me)

    def _name_pending(self, me: int, replica: Replica) -> None:
        pending = self._pending(replica)
        if pending not in (NOBODY, self.carried.state[PENDING][me]):
            leaves = pending in map(self.number.__getitem__, replica.state.isr)
            action = f"leader_ask_to_{'shrink' if leaves else 'expand'}_isr"
            self.carried.take(action, me, pending)

    def _name_decisions(self, me: int, replica: Replica, heard: tuple[int, ...]) -> None:
        for partition_epoch in heard:
            version = self._version(partition_epoch)
            if partition_epoch > replica.state.partition_epoch:
                break
            if version > self.carried.state[APPLIED][me]:
                self.carried.take("apply_decision", me, version)
                self._increment_where_allowed(me, replica)
        version = self._version(replica.state.partition_epoch)
        if version != self.carried.state[APPLIED][me]:
            self.carried.take("apply_decision", me, version)

    def _increment_where_allowed(self, me: int, replica: Replica) -> None:
        """As the leader that it was between two decisions, the broker may have committed."""
        carried = self.carried
        while self._high_watermark(me) < replica.high_watermark and carried.allows(
            "leader_increment_high_watermark", (me,)
        ):
            carried.take("leader_increment_high_watermark", me)

    def _life(self, broker: int, broker_epoch: int) -> int:
        """Which life in the model a broker epoch belongs to; -1 for none. A broker that registers
        again without having stopped has a new epoch in the same life."""
        lives = self._lives[broker]
        if broker_epoch not in lives:
            before = max((known for known in lives if known < broker_epoch), default=None)
            return NOBODY if before is None else lives[before]
        return lives[broker_epoch]

    def _pending(self, replica: Replica) -> int:
        """Whose membership the leader has asked to change."""
        leadership = replica.leadership
        if leadership is None or not leadership.proposed_isr:
            return NOBODY
        changed = set(leadership.proposed_isr).symmetric_difference(replica.state.isr)
        if len(changed) != 1:
            raise Differs("pending", f"one request is about {sorted(changed)}")
        return self.number[changed.pop()]

    # ---- what must then be the same ------------------------------------------------------------

    def _end_offset(self, me: int) -> int:
        now = self.carried.state
        return self.batches.offset(now[LOG_ID][me], now[LOG_END][me])

    def _high_watermark(self, me: int) -> int:
        now = self.carried.state
        return self.batches.offset(now[LOG_ID][me], now[HIGH_WATERMARK][me])

    def _compare(self, me: int, replica: Replica) -> None:
        now, log = self.carried.state, replica.log
        ids, length, batches = now[LOG_ID][me], now[LOG_END][me], self.batches
        if log.end_offset != (batches.ends[ids[length - 1]] if length else 0):
            self._differs("log", "log end offset", log.end_offset, self._end_offset(me))
        if length and log.last_epoch != batches.epochs[ids[length - 1]]:
            last = batches.epochs[ids[length - 1]]
            self._differs("log", "epoch of the last batch", log.last_epoch, last)
        place = now[HIGH_WATERMARK][me]
        if replica.high_watermark != (batches.ends[ids[place - 1]] if place else 0):
            expected = self._high_watermark(me)
            self._differs("high_watermark", "high watermark", replica.high_watermark, expected)
        leads = replica.leadership is not None
        if leads != now[LEADING][me]:
            self._differs("leading", "leading", leads, now[LEADING][me])
        if leads:
            seen, expected = self._pending(replica), now[PENDING][me]
            if seen != expected:
                self._differs("pending", "pending ISR change", seen, expected)
        seen, expected = replica.state.partition_epoch, now[APPLIED][me]
        if seen >= len(self._versions) or self._versions[seen] != expected:
            self._differs("partition_epoch", "partition epoch", seen, f"decision {expected}")

    def _compare_remembered(self, me: int, other: int, end_offset: int) -> None:
        now = self.carried.state
        expected = self.batches.offset(now[LOG_ID][me], now[REMEMBERED][me][other])
        if max(end_offset, 0) != expected:
            self._differs("remembered", f"what broker {other} has", end_offset, expected)

    def _compare_contents(self, me: int, replica: Replica, before: int) -> None:
        """The batches from a place on. Compaction leaves gaps: then the last one has to do."""
        now = self.carried.state
        ids = now[LOG_ID][me][before : now[LOG_END][me]]
        if not ids or not replica.log.batches:
            return
        contents = self.batches.contents
        stored = replica.log.batches[-len(ids) :]
        if len(stored) != len(ids):
            stored, ids = stored[-1:], ids[-1:]
        for each, batch in zip(ids, stored, strict=True):
            if contents[each] != batch:
                raise Differs("log", f"the batch at {self.batches.ends[each]} has other bytes")

    def _differs(self, field: str, text: str, seen: Any, expected: Any) -> None:
        raise Differs(field, f"{text} is {seen}, the model says {expected}")

    def compare_whole(self, node: int, replica: Replica) -> None:
        """All that a node has stored, and all invariants: for the end of a run."""
        me = self.number[node]
        self._compare(me, replica)
        self._compare_contents(me, replica, 0)
        broken = self.carried.broken_invariants()
        if broken:
            raise BrokenRule(broken[0], f"{', '.join(broken)} do not hold")
