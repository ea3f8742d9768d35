"""The tree of ZooKeeper: versions, transactions that happen whole or not at all, errors."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    SetData,
    Stat,
    WatchEvent,
    Write,
    ZooKeeperError,
)
from reference.metadata.zookeeper.tree import Committed, Tree

SESSION = 7


def wrote(tree: Tree, *operations: Operation) -> Committed:
    done = tree.write(operations, SESSION)
    assert isinstance(done, Committed), done
    return done


def test_a_node_is_created_with_version_0_and_set_with_the_next_one() -> None:
    tree = Tree()
    created = wrote(tree, Create("/a", "one")).results[0]
    assert created == Stat(version=0, czxid=1, mzxid=1, owner=0)
    changed = wrote(tree, SetData("/a", "two", 0)).results[0]
    assert changed == Stat(version=1, czxid=1, mzxid=2, owner=0)
    assert tree.get("/a") == Node("two", changed)


def test_an_ephemeral_node_belongs_to_its_session_and_has_no_children() -> None:
    tree = Tree()
    stat = wrote(tree, Create("/a", ephemeral=True)).results[0]
    assert isinstance(stat, Stat)
    assert stat.owner == SESSION
    refused = tree.write((Create("/a/b"),), SESSION)
    assert refused == Failure(ZooKeeperError.NO_CHILDREN_FOR_EPHEMERALS, 0)


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (Create("/a"), ZooKeeperError.NODE_EXISTS),
        (Create("/x/y"), ZooKeeperError.NO_NODE),
        (Create("x"), ZooKeeperError.BAD_ARGUMENTS),
        (Create("/a//b"), ZooKeeperError.BAD_ARGUMENTS),
        (Create("/a/.."), ZooKeeperError.BAD_ARGUMENTS),
        (SetData("/a", "", 4), ZooKeeperError.BAD_VERSION),
        (SetData("/x", "", 0), ZooKeeperError.NO_NODE),
        (Delete("/a", 0), ZooKeeperError.NOT_EMPTY),
        (Delete("/a/b", 3), ZooKeeperError.BAD_VERSION),
        (Delete("/x", ANY_VERSION), ZooKeeperError.NO_NODE),
        (Delete("/", ANY_VERSION), ZooKeeperError.BAD_ARGUMENTS),
        (Check("/a", 5), ZooKeeperError.BAD_VERSION),
        (Check("/x", ANY_VERSION), ZooKeeperError.NO_NODE),
        (GetData("/a"), ZooKeeperError.BAD_ARGUMENTS),
    ],
)
def test_a_refused_write_undoes_those_before_it(
    operation: Operation, error: ZooKeeperError
) -> None:
    tree = Tree()
    wrote(tree, Create("/a"), Create("/a/b"))
    before = tree.zxid
    done = tree.write((Create("/c"), SetData("/a", "new", 0), Delete("/a/b", 0), operation), 0)
    if operation == Delete("/a", 0):  # its child has gone by then; its version has changed
        assert done == Failure(ZooKeeperError.BAD_VERSION, 3)
    elif operation in (Delete("/a/b", 3), Create("/a/b")):
        assert done == Failure(ZooKeeperError.NO_NODE, 3)
    else:
        assert isinstance(done, Failure)
        assert done.index == 3
    assert tree.write((operation,), 0) == Failure(error, 0)
    assert tree.zxid == before
    assert tree.get("/c") is None
    assert tree.get("/a") == Node("", Stat(0, 1, 1, 0))
    assert tree.children("/a") == ("b",)


def test_a_node_that_was_written_twice_is_undone_to_what_it_was_first() -> None:
    tree = Tree()
    again = (Create("/a"), SetData("/a", "new", 0), Check("/a", 7))
    assert tree.write(again, 0) == Failure(ZooKeeperError.BAD_VERSION, 2)
    assert tree.get("/a") is None
    assert tree.children("/") == ()


def test_children_come_in_order_and_only_reads_of_nothing_fail() -> None:
    tree = Tree()
    wrote(tree, Create("/b", "data"), Create("/a"), Create("/a/z"), Create("/a/y"))
    assert tree.read((GetChildren("/a"), GetData("/x"), Exists("/x"), Exists("/b"))) == (
        Children(("y", "z")),
        Failure(ZooKeeperError.NO_NODE, 1),
        None,
        Stat(0, 1, 1, 0),
    )


def test_changes_name_the_node_and_its_parent() -> None:
    tree = Tree()
    done = wrote(tree, Create("/a"), Create("/a/b"), SetData("/a", "", 0), Check("/a", 1))
    assert done.changes == (
        WatchEvent(EventType.CREATED, "/a"),
        WatchEvent(EventType.CHILDREN_CHANGED, "/"),
        WatchEvent(EventType.CREATED, "/a/b"),
        WatchEvent(EventType.CHILDREN_CHANGED, "/a"),
        WatchEvent(EventType.DATA_CHANGED, "/a"),
    )
    assert wrote(tree, Delete("/a/b", 0)).changes == (
        WatchEvent(EventType.DELETED, "/a/b"),
        WatchEvent(EventType.CHILDREN_CHANGED, "/a"),
    )


# ---- against a tiny oracle ----------------------------------------------------------------------


@dataclass
class Oracle:
    """Path -> (data, version); a transaction works on a copy and keeps it if nothing fails."""

    nodes: dict[str, tuple[str, int]] = field(default_factory=lambda: {"/": ("", 0)})

    def write(self, operations: tuple[Write, ...]) -> Failure | None:
        nodes = dict(self.nodes)
        for index, operation in enumerate(operations):
            error = self.apply(nodes, operation)
            if error is not None:
                return Failure(error, index)
        self.nodes = nodes
        return None

    def apply(self, nodes: dict[str, tuple[str, int]], operation: Write) -> ZooKeeperError | None:
        path = operation.path
        if isinstance(operation, Create):
            if path in nodes:
                return ZooKeeperError.NODE_EXISTS
            if (path.rpartition("/")[0] or "/") not in nodes:
                return ZooKeeperError.NO_NODE
            nodes[path] = (operation.data, 0)
            return None
        if path not in nodes:
            return ZooKeeperError.NO_NODE
        if operation.version not in (ANY_VERSION, nodes[path][1]):
            return ZooKeeperError.BAD_VERSION
        if isinstance(operation, SetData):
            nodes[path] = (operation.data, nodes[path][1] + 1)
        elif isinstance(operation, Delete):
            if any(other.startswith(f"{path}/") for other in nodes):
                return ZooKeeperError.NOT_EMPTY
            del nodes[path]
        return None


PATHS = st.sampled_from(["/a", "/a/b", "/a/b/c", "/a/d", "/e"])
VERSIONS = st.integers(ANY_VERSION, 2)
WRITES = st.one_of(
    st.builds(Create, PATHS, st.sampled_from("xyz")),
    st.builds(SetData, PATHS, st.sampled_from("xyz"), VERSIONS),
    st.builds(Delete, PATHS, VERSIONS),
    st.builds(Check, PATHS, VERSIONS),
)


@given(st.lists(st.lists(WRITES, min_size=1, max_size=4).map(tuple), max_size=30))
def test_transactions_do_what_a_tiny_oracle_does(requests: list[tuple[Write, ...]]) -> None:
    tree, oracle, committed = Tree(), Oracle(), 0
    for operations in requests:
        done = tree.write(operations, 0)
        expected = oracle.write(operations)
        committed += expected is None
        assert (done if isinstance(done, Failure) else None) == expected
        assert tree.zxid == committed
        seen = {path: node for path in oracle.nodes if (node := tree.get(path)) is not None}
        assert {p: (n.data, n.stat.version) for p, n in seen.items()} == oracle.nodes
        for path in ("/", "/a", "/a/b", "/a/b/c", "/a/d", "/e"):
            prefix = path.rstrip("/") + "/"
            below = {p[len(prefix) :] for p in oracle.nodes if p != "/" and p.startswith(prefix)}
            assert tree.children(path) == tuple(sorted(n for n in below if "/" not in n))
            assert (tree.get(path) is None) == (path not in oracle.nodes)
