"""Slips that would be silent: the text says less, or something else, than its author meant."""

from typing import Any

import pytest

from spec.language import (
    BOOL,
    Protocol,
    SpecError,
    action,
    after,
    all_of,
    conjunct,
    entity,
    for_all,
    history,
    implies,
    invariant,
    number,
    per,
    require,
    rigid,
    trace,
    var,
    when,
)

Client = entity("Client")
Count = number("Count")


class Counter(Protocol):
    count = var(Count, init=0)

    @action
    def count_up(self, new: Any, client: Client) -> None:
        new.count = self.count + 1


class MisspeltHook(Counter):
    """It would never run, so that what it records would never happen."""

    counted = history(per(Client, BOOL, init=False))

    @after("counts_up")
    def record(self, new: Any, client: Any) -> None:
        new.counted[client] = True


class ActionCalledInit(Counter):
    """Its obligations would be taken for those of the initial state."""

    @action
    def INIT(self, new: Any) -> None:  # noqa: N802
        new.count = 5

    @conjunct
    def small(self) -> Any:
        return self.count < 5


class RequireInsideWhen(Counter):
    """It reads as if it were required only then."""

    def count_up(self, new: Any, client: Any) -> None:
        with when(self.count == 3):
            require(self.count < 2)
        new.count = self.count + 1


ONE = rigid("is_known", (Client,), BOOL, table=lambda _, client: client == 0)
OTHER = rigid("is_known", (Client,), BOOL, table=lambda _, client: client != 0)


class TwoFunctionsOfOneName(Counter):
    """A proof would take them for one."""

    @invariant()
    def same(self) -> Any:
        return for_all(Client, lambda client: all_of(implies(ONE(client), OTHER(client))))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (MisspeltHook, "record runs after counts_up, which is no action"),
        (ActionCalledInit, "no action can be called INIT"),
        (RequireInsideWhen, r"require\(\) inside when\(\).*test_language_slips.py:\d+ count_up"),
        (TwoFunctionsOfOneName, "two functions are called is_known"),
    ],
)
def test_a_slip_is_an_error(wrong: type[Protocol], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        trace(wrong)


def test_a_method_under_two_names_is_overridden_under_one() -> None:
    class Aliased(Counter):
        @action
        def count_twice(self, new: Any, client: Client) -> None:
            new.count = self.count + 2

        count_again = count_twice

    class Overridden(Aliased):
        def count_twice(self, new: Any, client: Any) -> None:
            new.count = self.count

    again = trace(Overridden).actions["count_again"]
    assert [repr(write.value) for write in again.writes] == ["(count + 2)"]
