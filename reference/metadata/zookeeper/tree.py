"""The tree of ZooKeeper's nodes: text with a version, ordered by transactions.

A request of writes is one transaction. Absent, since Kafka does without them here: sequential
nodes, access lists, quotas, and the versions of a node's children.
Source: zookeeper-server/.../server/DataTree.java, PrepRequestProcessor.java.
"""

from typing import NamedTuple

from reference.metadata.zookeeper.messages import (
    ANY_VERSION,
    Check,
    Children,
    Create,
    Delete,
    EventType,
    Exists,
    Failure,
    GetChildren,
    GetData,
    Node,
    Operation,
    Read,
    Result,
    SetData,
    Stat,
    WatchEvent,
    ZooKeeperError,
)


class Refused(Exception):
    """The operation cannot be done, and its transaction does not happen."""

    def __init__(self, error: ZooKeeperError) -> None:
        super().__init__(error)
        self.error = error


class Committed(NamedTuple):
    """A transaction that has happened."""

    results: tuple[Result, ...]
    """One for each operation."""
    changes: tuple[WatchEvent, ...]
    """What each of them did, as a watcher is told of it."""


class Tree:
    __slots__ = ("_children", "_nodes", "_undo", "zxid")

    def __init__(self) -> None:
        self.zxid = 0
        """How many transactions there have been: sessions that come and go are some, too."""
        self._nodes: dict[str, Node] = {"/": Node("", Stat(0, 0, 0, 0))}
        self._children: dict[str, dict[str, None]] = {"/": {}}
        self._undo: list[tuple[str, Node | None]] = []

    # ---- reading -------------------------------------------------------------------------------

    def get(self, path: str) -> Node | None:
        return self._nodes.get(path)

    def children(self, path: str) -> tuple[str, ...]:
        """The names of a node's children in ascending order; none where there is no node."""
        return tuple(sorted(self._children.get(path, ())))

    def read(self, operations: tuple[Read, ...]) -> tuple[Result, ...]:
        """Returns one result for each read; those that fail are Failure."""
        return tuple(self._read(operation, i) for i, operation in enumerate(operations))

    def _read(self, operation: Read, index: int) -> Result:
        node = self._nodes.get(operation.path)
        if isinstance(operation, Exists):
            return node.stat if node else None
        if node is None:
            return Failure(ZooKeeperError.NO_NODE, index)
        if isinstance(operation, GetChildren):
            return Children(self.children(operation.path))
        return node

    # ---- writing -------------------------------------------------------------------------------

    def write(self, operations: tuple[Operation, ...], session: int) -> Committed | Failure:
        """Does all of the writes as one transaction of a session, or none of them."""
        self._undo = []
        self.zxid += 1
        results: list[Result] = []
        changes: list[WatchEvent] = []
        for index, operation in enumerate(operations):
            try:
                results.append(self._write(operation, session))
            except Refused as refused:
                self._roll_back()
                return Failure(refused.error, index)
            if not isinstance(operation, Check):
                changes += _events(operation)
        return Committed(tuple(results), tuple(changes))

    def _roll_back(self) -> None:
        self.zxid -= 1
        for path, node in reversed(self._undo):
            self._put(path, node)

    def _write(self, operation: Operation, session: int) -> Stat | None:
        match operation:
            case Create(path, data, ephemeral):
                return self._create(path, data, session if ephemeral else 0)
            case SetData(path, data, version):
                stat = self._expected(path, version).stat
                stat = stat._replace(version=stat.version + 1, mzxid=self.zxid)
                self._replace(path, Node(data, stat))
                return stat
            case Delete(path, version):
                self._expected(path, version)
                if self._children[path]:
                    raise Refused(ZooKeeperError.NOT_EMPTY)
                self._replace(path, None)
                return None
            case Check(path, version):
                self._expected(path, version)
                return None
        raise Refused(ZooKeeperError.BAD_ARGUMENTS)

    def _create(self, path: str, data: str, owner: int) -> Stat:
        if not _is_valid(path):
            raise Refused(ZooKeeperError.BAD_ARGUMENTS)
        if path in self._nodes:
            raise Refused(ZooKeeperError.NODE_EXISTS)
        parent = self._nodes.get(parent_of(path))
        if parent is None:
            raise Refused(ZooKeeperError.NO_NODE)
        if parent.stat.owner:
            raise Refused(ZooKeeperError.NO_CHILDREN_FOR_EPHEMERALS)
        stat = Stat(0, self.zxid, self.zxid, owner)
        self._replace(path, Node(data, stat))
        return stat

    def _expected(self, path: str, version: int) -> Node:
        node = self._nodes.get(path)
        if node is None:
            raise Refused(ZooKeeperError.NO_NODE)
        if path == "/":
            raise Refused(ZooKeeperError.BAD_ARGUMENTS)
        if version not in (ANY_VERSION, node.stat.version):
            raise Refused(ZooKeeperError.BAD_VERSION)
        return node

    def _replace(self, path: str, node: Node | None) -> None:
        self._undo.append((path, self._nodes.get(path)))
        self._put(path, node)

    def _put(self, path: str, node: Node | None) -> None:
        siblings = self._children[parent_of(path)]
        if node is None:
            del self._nodes[path], self._children[path], siblings[path.rpartition("/")[2]]
            return
        if path not in self._nodes:
            self._children[path] = {}
            siblings[path.rpartition("/")[2]] = None
        self._nodes[path] = node


def is_read(operation: Operation) -> bool:
    return isinstance(operation, GetData | GetChildren | Exists)


def parent_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _is_valid(path: str) -> bool:
    names = path.split("/")
    return len(names) > 1 and not names[0] and all(n not in ("", ".", "..") for n in names[1:])


def _events(operation: Operation) -> tuple[WatchEvent, ...]:
    path = operation.path
    if isinstance(operation, SetData):
        return (WatchEvent(EventType.DATA_CHANGED, path),)
    type_ = EventType.CREATED if isinstance(operation, Create) else EventType.DELETED
    return (
        WatchEvent(type_, path),
        WatchEvent(EventType.CHILDREN_CHANGED, parent_of(path)),
    )
