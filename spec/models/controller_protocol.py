"""The controller elected through ZooKeeper: one at a time, and the deposed ones are without power.

Each broker has a session with ZooKeeper. Two nodes live only as long as it: the broker's entry in
/brokers/ids, and /controller if it owns that. A session may expire while its owner sleeps (a long
garbage collection), and the owner goes on as if nothing had happened: the client library opens a
new session before the controller hears of the expiry (KAFKA-6082), so even its writes arrive. That
is the zombie which all the rules here are about.

/controller_epoch is read and then written on condition that it has not changed. Its value and its
version move together, so one number stands for both. The state of a partition is kept by version,
with all former versions: what a controller has cached is then the number of a version.

Sources: KIP-380, KAFKA-6082; KafkaZkClient.scala
(registerControllerAndIncrementControllerEpoch, setTopicPartitionStatesRaw), KafkaController.scala
(onControllerFailover), ReplicaManager.scala (becomeLeaderOrFollower).
"""

from spec.language import (
    BOOL,
    EMPTY,
    EVERYONE,
    NOBODY,
    NONE,
    Messages,
    Optional,
    Per,
    Protocol,
    SetOf,
    Struct,
    action,
    all_of,
    any_of,
    entity,
    exists,
    for_all,
    history,
    implies,
    invariant,
    ite_set,
    larger,
    not_,
    number,
    per,
    require,
    var,
    when,
    witness,
)

Broker = entity("Broker")
Partition = entity("Partition")
ControllerEpoch = number("ControllerEpoch")  # /controller_epoch; 0: nobody has been controller
LeaderEpoch = number("LeaderEpoch")  # 0: the partition has never had a leader
StateVersion = number("StateVersion")  # the version of the node with a partition's state

PartitionState = Struct(
    leader=Optional(Broker),
    leader_epoch=LeaderEpoch,
    isr=SetOf(Broker),
    controller_epoch=ControllerEpoch,  # of the controller that elected the leader
)


class Controller(Protocol):
    """Every write is conditional on the controller epoch and on the version that was read."""

    # ---- ZooKeeper
    registered = var(SetOf(Broker), init=EVERYONE)  # /brokers/ids: whose session is alive
    controller_node = var(Optional(Broker), init=NONE)  # who owns /controller
    controller_epoch = var(ControllerEpoch, init=0)
    newest = per(Partition, StateVersion, init=0)
    partition_state = per(
        Partition,
        Per(StateVersion, PartitionState),
        init={
            "leader": NONE,
            "leader_epoch": 0,
            "isr": lambda partition, version, broker: version == 0,
            "controller_epoch": 0,
        },
    )
    # ---- in the memory of a candidate or controller
    is_active = per(Broker, BOOL, init=False)  # it believes that it is the controller
    epoch_known = per(Broker, ControllerEpoch, init=0)  # the epoch that it has read, or taken
    alive_known = per(Broker, SetOf(Broker), init=NOBODY)  # /brokers/ids as it last read it
    has_read = per(Broker, SetOf(Partition), init=NOBODY)  # whose state it has read
    version_known = per(Broker, Per(Partition, StateVersion), init=0)
    # ---- messages and what brokers make of them
    requests = var(
        Messages(partition=Partition, controller_epoch=ControllerEpoch, version=StateVersion),
        init=EMPTY,
    )  # LeaderAndIsr: to whom each is sent does not matter, since any of them may be lost
    controller_epoch_of = per(Broker, ControllerEpoch, init=0)  # of the last request it obeyed
    applied = per(Broker, Per(Partition, StateVersion), init=0)  # whom it follows is written there
    # ---- nobody's: what really happened
    newest_obeyed = history(per(Broker, ControllerEpoch, init=0))
    highest_leader_epoch = history(per(Broker, Per(Partition, LeaderEpoch), init=0))
    store_epoch_at = history(per(Partition, Per(StateVersion, ControllerEpoch), init=0))
    alive_in = history(
        per(ControllerEpoch, SetOf(Broker), init=lambda epoch, broker: epoch == 0)
    )  # who was registered at some moment of that epoch
    version_at_start = history(per(ControllerEpoch, Per(Partition, StateVersion), init=0))

    # ---- definitions
    def state(self, partition):
        return self.partition_state[partition][self.newest[partition]]

    def cached_state(self, controller, partition):
        return self.partition_state[partition][self.version_known[controller][partition]]

    def applied_state(self, broker, partition):
        return self.partition_state[partition][self.applied[broker][partition]]

    def presumes_leadership(self, broker, partition):
        return self.applied_state(broker, partition).leader == broker

    # ---- sessions
    @action
    def session_expires(self, new, broker: Broker):
        """ZooKeeper removes the nodes of a silent broker, which may be dead or only asleep."""
        require(self.registered.has(broker))
        new.registered = self.registered.minus(broker)
        with when(self.controller_node == broker):
            new.controller_node = NONE

    @action
    def broker_registers(self, new, broker: Broker):
        """A broker starts again, or hears at last that its session expired, and resigns."""
        require(not_(self.registered.has(broker)))
        new.registered = self.registered.plus(broker)
        new.is_active[broker] = False
        new.alive_in[self.controller_epoch] = self.alive_in[self.controller_epoch].plus(broker)

    # ---- the election of the controller
    def epoch_is_unchanged(self, candidate):
        # Without this condition two candidates that read the same epoch take the same next one.
        return self.epoch_known[candidate] == self.controller_epoch

    def next_epoch(self, candidate):
        return self.epoch_known[candidate] + 1

    def forget_cache(self, new, candidate):
        # Without this a controller would act on what it knew when it was controller before: who
        # lived then, and who led.
        new.alive_known[candidate] = NOBODY
        new.has_read[candidate] = NOBODY
        new.version_known[candidate] = lambda partition: 0

    @action
    def candidate_reads_epoch(self, new, candidate: Broker):
        require(not_(self.is_active[candidate]))
        new.epoch_known[candidate] = self.controller_epoch

    @action
    def candidate_becomes_controller(self, new, candidate: Broker):
        """In one multi-operation: create /controller, and raise /controller_epoch if unchanged."""
        require(self.registered.has(candidate))  # a node without a session would never go away
        require(not_(self.is_active[candidate]))
        # Without this candidates depose each other in turn: nothing breaks, and nothing gets done.
        require(self.controller_node == NONE)
        require(self.epoch_is_unchanged(candidate))
        epoch = self.next_epoch(candidate)
        new.controller_node = candidate
        new.controller_epoch = epoch
        new.is_active[candidate] = True
        new.epoch_known[candidate] = epoch
        self.forget_cache(new, candidate)
        new.alive_in[epoch] = self.registered
        new.version_at_start[epoch] = lambda partition: self.newest[partition]

    # ---- what a controller does; a zombie does the same, not knowing better
    @action
    def controller_reads_brokers(self, new, controller: Broker):
        """At failover, and when a watch on /brokers/ids fires."""
        require(self.is_active[controller])
        new.alive_known[controller] = self.registered

    @action
    def controller_reads_partition(self, new, controller: Broker, partition: Partition):
        """At failover, and when a write was refused: a leader has changed the ISR meanwhile."""
        require(self.is_active[controller])
        new.has_read[controller] = self.has_read[controller].plus(partition)
        new.version_known[controller][partition] = self.newest[partition]

    def is_newest_controller(self, controller):
        # Without this a zombie decides on: its elections undo those of its successor.
        return self.epoch_known[controller] == self.controller_epoch

    def is_newest_version(self, controller, partition):
        # Without this the controller may elect a broker that the leader has removed from the ISR
        # since, and that lacks what was acknowledged after.
        return self.version_known[controller][partition] == self.newest[partition]

    def is_complete(self, cached, candidate):
        # Without this (an unclean election) the new leader may lack acknowledged records.
        return cached.isr.has(candidate)

    def is_alive(self, alive, candidate):
        # Without this the partition stays without a leader until the dead one dies once more.
        return alive.has(candidate)

    def next_leader_epoch(self, cached):
        # Without a new epoch nobody could tell the new leader's records from the old one's.
        return cached.leader_epoch + 1

    def write_state(self, new, partition, **state):
        version = self.newest[partition] + 1
        new.partition_state[partition][version] = state
        new.newest[partition] = version
        new.store_epoch_at[partition][version] = self.controller_epoch
        return version

    @action
    def controller_elects_leader(
        self, new, controller: Broker, partition: Partition, leader: Broker
    ):
        """The leader's session is gone: a member of the ISR that lives is promoted."""
        require(self.is_active[controller], self.has_read[controller].has(partition))
        cached, alive = self.cached_state(controller, partition), self.alive_known[controller]
        require(any_of(cached.leader == NONE, not_(alive.has(cached.leader))))
        require(self.is_complete(cached, leader), self.is_alive(alive, leader))
        require(self.is_newest_controller(controller))
        require(self.is_newest_version(controller, partition))
        new.version_known[controller][partition] = self.write_state(
            new,
            partition,
            leader=leader,
            leader_epoch=self.next_leader_epoch(cached),
            isr=cached.isr.where(alive.has),
            controller_epoch=self.epoch_known[controller],
        )

    @action
    def controller_sends_request(self, new, controller: Broker, partition: Partition):
        """After an election, and for every partition at failover: the last one may have died
        between its write and its request."""
        require(self.is_active[controller], self.has_read[controller].has(partition))
        new.requests.send(
            partition=partition,
            controller_epoch=self.epoch_known[controller],
            version=self.version_known[controller][partition],
        )

    # ---- brokers
    def is_not_older(self, broker, controller_epoch):
        # Without this what a deposed controller has sent undoes what its successor said: also
        # StopReplica and UpdateMetadata, which had no leader epoch to tell.
        return controller_epoch >= self.controller_epoch_of[broker]

    def is_news(self, broker, partition, leader_epoch):
        # Without this two requests of one controller that change places bring an old leader back.
        return leader_epoch > self.applied_state(broker, partition).leader_epoch

    @action
    def broker_obeys(
        self,
        new,
        broker: Broker,
        partition: Partition,
        epoch: ControllerEpoch,
        version: StateVersion,
    ):
        """LeaderAndIsr arrives: early, late, or once more. Any other is STALE_CONTROLLER_EPOCH."""
        require(self.requests.has(partition=partition, controller_epoch=epoch, version=version))
        require(self.is_not_older(broker, epoch))
        told = self.partition_state[partition][version]
        new.controller_epoch_of[broker] = epoch
        new.newest_obeyed[broker] = larger(self.newest_obeyed[broker], epoch)
        with when(self.is_news(broker, partition, told.leader_epoch)):
            new.applied[broker][partition] = version
            new.highest_leader_epoch[broker][partition] = larger(
                self.highest_leader_epoch[broker][partition], told.leader_epoch
            )

    def is_still_leader(self, leader, partition):
        # Without this, which the version sees to, a deposed leader throws its successor out.
        own = self.applied_state(leader, partition)
        return own.leader_epoch == self.state(partition).leader_epoch

    @action
    def leader_changes_isr(self, new, leader: Broker, partition: Partition, follower: Broker):
        """A follower falls behind or catches up; until KIP-497 the leader itself writes the ISR."""
        now = self.state(partition)
        require(self.presumes_leadership(leader, partition), follower != leader)
        require(self.is_still_leader(leader, partition))
        isr = ite_set(now.isr.has(follower), now.isr.minus(follower), now.isr.plus(follower))
        self.write_state(
            new,
            partition,
            leader=now.leader,
            leader_epoch=now.leader_epoch,
            isr=isr,
            controller_epoch=now.controller_epoch,
        )

    # ---- what must never break
    @invariant("CTL-01")
    def one_controller_per_epoch(self):
        return for_all(
            Broker,
            Broker,
            lambda a, b: implies(
                all_of(
                    self.is_active[a], self.is_active[b], self.epoch_known[a] == self.epoch_known[b]
                ),
                a == b,
            ),
        )

    @invariant("CTL-01")
    def owner_of_the_node_has_the_newest_epoch(self):
        return for_all(
            Broker,
            lambda b: implies(
                self.controller_node == b,
                all_of(self.is_active[b], self.epoch_known[b] == self.controller_epoch),
            ),
        )

    def is_election(self, partition, version):
        """The step from this version to the next one changed the leader's epoch."""
        now, then = (self.partition_state[partition][v] for v in (version, version + 1))
        return all_of(version < self.newest[partition], now.leader_epoch != then.leader_epoch)

    def is_election_of(self, partition, version, leader):
        elected = self.partition_state[partition][version + 1].leader
        return all_of(self.is_election(partition, version), elected == leader)

    @invariant("CTL-02")
    def deposed_controllers_change_nothing(self):
        """Whoever elected a leader held the controller epoch of the store at that moment."""
        return for_all(
            Partition,
            StateVersion,
            lambda p, v: implies(
                self.is_election(p, v),
                self.partition_state[p][v + 1].controller_epoch == self.store_epoch_at[p][v + 1],
            ),
        )

    @invariant("CTL-02")
    def brokers_obey_no_older_controller(self):
        return for_all(Broker, lambda b: self.controller_epoch_of[b] == self.newest_obeyed[b])

    @invariant("CTL-04")
    def controllers_start_from_the_store(self):
        """No request tells a state older than what was stored when its controller took over."""
        return for_all(
            Partition,
            ControllerEpoch,
            StateVersion,
            lambda p, e, v: implies(
                self.requests.has(partition=p, controller_epoch=e, version=v),
                self.version_at_start[e][p] <= v,
            ),
        )

    @invariant("LEAD-01")
    def one_leader_per_leader_epoch(self):
        """In all that was ever stored."""
        return for_all(
            Partition,
            StateVersion,
            StateVersion,
            lambda p, v, w: implies(
                all_of(
                    v <= w,
                    w <= self.newest[p],
                    self.partition_state[p][v].leader_epoch
                    == self.partition_state[p][w].leader_epoch,
                ),
                self.partition_state[p][v].leader == self.partition_state[p][w].leader,
            ),
        )

    @invariant("LEAD-01")
    def one_broker_leads_per_leader_epoch(self):
        """Among those who presume to lead, deposed leaders included."""
        return for_all(
            Broker,
            Broker,
            Partition,
            lambda a, b, p: implies(
                all_of(
                    self.presumes_leadership(a, p),
                    self.presumes_leadership(b, p),
                    self.applied_state(a, p).leader_epoch == self.applied_state(b, p).leader_epoch,
                ),
                a == b,
            ),
        )

    @invariant("LEAD-02")
    def leader_epoch_grows(self):
        """It never falls; as each has one leader, it grows with every change of the leader."""
        return for_all(
            Partition,
            StateVersion,
            StateVersion,
            lambda p, v, w: implies(
                all_of(v <= w, w <= self.newest[p]),
                self.partition_state[p][v].leader_epoch <= self.partition_state[p][w].leader_epoch,
            ),
        )

    @invariant("LEAD-02")
    def brokers_obey_no_older_leader_epoch(self):
        return for_all(
            Broker,
            Partition,
            lambda b, p: self.applied_state(b, p).leader_epoch == self.highest_leader_epoch[b][p],
        )

    @invariant("LEAD-03")
    def elected_leader_was_in_isr(self):
        """In the ISR that the store had at that moment."""
        return for_all(
            Partition,
            StateVersion,
            Broker,
            lambda p, v, leader: implies(
                self.is_election_of(p, v, leader), self.partition_state[p][v].isr.has(leader)
            ),
        )

    @invariant("LEAD-03")
    def elected_leader_was_alive(self):
        """As far as its controller can know: it was registered at some moment of that reign."""
        return for_all(
            Partition,
            StateVersion,
            Broker,
            lambda p, v, leader: implies(
                self.is_election_of(p, v, leader),
                self.alive_in[self.partition_state[p][v + 1].controller_epoch].has(leader),
            ),
        )

    @invariant("ISR-01")
    def leader_is_in_isr(self):
        """In all that was ever stored."""
        return for_all(
            Partition,
            StateVersion,
            Broker,
            lambda p, v, leader: implies(
                all_of(v <= self.newest[p], self.partition_state[p][v].leader == leader),
                self.partition_state[p][v].isr.has(leader),
            ),
        )

    # ---- what must be possible, or the invariants say little
    @witness
    def zombie_beside_its_successor(self):
        return exists(
            Broker,
            Broker,
            lambda a, b: all_of(
                self.is_active[a], self.is_active[b], self.epoch_known[a] < self.epoch_known[b]
            ),
        )

    @witness
    def follower_was_promoted(self):
        return exists(
            Partition,
            StateVersion,
            lambda p, v: all_of(
                v < self.newest[p],
                self.partition_state[p][v].leader != NONE,
                self.partition_state[p][v].leader != self.state(p).leader,
            ),
        )

    @witness
    def stale_request_is_refused(self):
        return exists(
            Broker,
            Partition,
            ControllerEpoch,
            StateVersion,
            lambda b, p, e, v: all_of(
                self.requests.has(partition=p, controller_epoch=e, version=v),
                e < self.controller_epoch_of[b],
            ),
        )

    @witness
    def isr_changed_behind_the_controller(self):
        return exists(
            Broker,
            Partition,
            lambda c, p: all_of(
                self.is_active[c],
                self.epoch_known[c] == self.controller_epoch,
                self.has_read[c].has(p),
                self.version_known[c][p] < self.newest[p],
            ),
        )
