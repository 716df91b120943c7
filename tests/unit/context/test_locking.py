"""Context objects with locks: who may write when, in engines and on their own."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
import threading
import warnings
from dataclasses import dataclass, field
from typing import Any

import attrs
import pydantic
import pytest

from theus import TheusEngine, process
from theus.context import (
    BaseDomainContext,
    BaseGlobalContext,
    BaseSystemContext,
    LockedContextMixin,
)
from theus.errors import LockViolationError, LockWarning, TheusError
from theus.locks import LockManager


@dataclass
class Shop(LockedContextMixin, BaseDomainContext):
    orders: int = 0


@dataclass
class Config(BaseGlobalContext, LockedContextMixin):
    limit: int = 10


@dataclass
class System(LockedContextMixin, BaseSystemContext):
    domain: Shop = field(default_factory=Shop)
    global_ctx: Config = field(default_factory=Config)


@attrs.define
class AttrsShop(LockedContextMixin):
    orders: int = 0


class ModelShop(LockedContextMixin, pydantic.BaseModel):
    orders: int = 0


@dataclass(slots=True)
class Slotted:
    domain_ctx: Any
    global_: Any


@process(inputs=["domain.orders"], outputs=["domain.orders"])
def order(ctx: Any) -> int:
    return int(ctx.domain.orders) + 1


def refused(target: Any, name: str = "orders") -> bool:
    """Whether a write is refused; one that is refused leaves the value as it was."""
    before = getattr(target, name)
    try:
        setattr(target, name, 99)
    except LockViolationError:
        assert getattr(target, name) == before
        return True
    setattr(target, name, before)
    return False


# --- on their own ----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Shop, AttrsShop, ModelShop])
def test_an_object_is_free_until_somebody_locks_it(make: Any) -> None:
    shop = make()
    shop.orders = 1
    shop.set_lock_manager(LockManager())
    assert refused(shop)
    shop.set_lock_manager(None)
    shop.orders = 2
    assert shop.orders == 2


def test_a_refused_write_names_the_place_and_what_to_do() -> None:
    shop = Shop()
    shop.set_lock_manager(LockManager())
    with pytest.raises(
        LockViolationError, match=r"Shop\.orders .*`with engine\.edit\(\):`"
    ) as info:
        shop.orders = 5
    assert info.value.path == "Shop.orders"
    assert isinstance(info.value, PermissionError)
    assert isinstance(info.value, TheusError)
    with pytest.raises(LockViolationError):
        del shop.orders
    assert shop.orders == 0


def test_a_lenient_manager_warns_at_the_line_that_writes() -> None:
    shop = Shop()
    shop.set_lock_manager(LockManager(strict_mode=False))
    with pytest.warns(LockWarning, match=r"Shop\.orders") as caught:
        shop.orders = 5
    assert [one.filename for one in caught] == [__file__]
    assert shop.orders == 5


def test_private_attributes_are_free() -> None:
    shop = Shop()
    shop.set_lock_manager(LockManager())
    shop._cache = 1  # type: ignore[attr-defined]
    del shop._cache  # type: ignore[attr-defined]


def test_unlock_is_for_its_block_and_can_be_nested() -> None:
    locks = LockManager()
    shop = Shop()
    shop.set_lock_manager(locks)
    with locks.unlock() as same:
        assert same is locks
        with locks.unlock():
            assert not refused(shop)
        assert not refused(shop)
    assert refused(shop)
    with pytest.raises(ZeroDivisionError), locks.unlock():
        raise ZeroDivisionError
    assert refused(shop)


def test_one_manager_does_not_open_what_another_has_locked() -> None:
    mine, others = LockManager(), LockManager()
    shop = Shop()
    shop.set_lock_manager(mine)
    with others.unlock():
        assert refused(shop)
        with mine.unlock():
            assert not refused(shop)


def test_another_thread_has_no_right() -> None:
    locks = LockManager()
    shop = Shop()
    shop.set_lock_manager(locks)
    seen: list[bool] = []
    with locks.unlock():
        thread = threading.Thread(target=lambda: seen.append(refused(shop)))
        thread.start()
        thread.join()
    assert seen == [True]


def test_many_threads_keep_their_rights_apart() -> None:
    locks = LockManager()
    shops = [Shop() for _ in range(8)]
    wrong: list[int] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        shop = shops[number]
        shop.set_lock_manager(locks)
        for _ in range(300):
            if not refused(shop):
                wrong.append(number)
            with locks.unlock():
                shop.orders += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert [shop.orders for shop in shops] == [300] * 8


def test_tasks_have_the_right_of_the_block_that_started_them_until_it_ends() -> None:
    locks = LockManager()
    shop = Shop()
    shop.set_lock_manager(locks)
    seen: dict[str, bool] = {}

    async def child(ended: asyncio.Event) -> None:
        seen["inside"] = refused(shop)
        await ended.wait()
        seen["after"] = refused(shop)

    async def stranger(go: asyncio.Event, done: asyncio.Event) -> None:
        await go.wait()
        seen["stranger"] = refused(shop)
        done.set()

    async def main() -> None:
        go, done, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        outside = asyncio.create_task(stranger(go, done))
        with locks.unlock():
            inside = asyncio.create_task(child(ended))
            go.set()
            await done.wait()
            await asyncio.sleep(0)
        ended.set()
        await asyncio.gather(inside, outside)

    asyncio.run(main())
    assert seen == {"inside": False, "stranger": True, "after": True}


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("make", [Shop, System, AttrsShop, ModelShop])
def test_a_copy_is_equal_and_not_locked(make: Any, again: Any) -> None:
    original = make()
    LockManager().attach(original)
    copied = again(original)
    assert copied == make()
    assert copied.lock_manager is None
    assert refused(original, "domain" if make is System else "orders")
    assert not refused(copied, "domain" if make is System else "orders")


def test_the_lock_is_no_field() -> None:
    system = System()
    LockManager().attach(system)
    assert system.to_dict() == {"domain": {"orders": 0}, "global": {"limit": 10}}
    assert system == System()
    assert "lock" not in repr(system)
    assert not refused(dataclasses.replace(system, domain=Shop()), "domain")


# --- in an engine -----------------------------------------------------------------------------


def test_a_strict_engine_locks_its_context_and_edit_opens_it() -> None:
    system = System()
    with TheusEngine(system) as engine:
        assert refused(system, "domain")
        assert refused(system.domain)
        assert refused(system.global_ctx, "limit")
        with engine.transaction():
            assert refused(system.domain)
        with engine.edit() as context:
            assert context is system
            context.domain.orders = 3
            context.global_ctx = Config(7)
        assert engine.state.domain == {"orders": 3}
        assert engine.state.global_ == {"limit": 7}
        assert refused(system.global_ctx, "limit")
        engine.register(order)
        assert engine.run("order") == 4
    assert not refused(system.domain)


def test_a_lenient_engine_warns() -> None:
    system = System()
    with TheusEngine(system, strict_mode=False) as engine:
        with pytest.warns(LockWarning):
            system.domain.orders = 3
        assert engine.state.domain.orders == 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with engine.edit() as context:
                context.domain.orders = 4
        assert engine.state.domain.orders == 4


def test_a_failed_edit_leaves_the_context_locked() -> None:
    system = System()
    with TheusEngine(system) as engine:
        with pytest.raises(ZeroDivisionError), engine.edit():
            raise ZeroDivisionError
        assert refused(system.domain)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda shop: {"domain": shop, "global": {}},
        lambda shop: BaseSystemContext(domain=shop),
        lambda shop: Slotted(shop, {}),
    ],
    ids=["mapping", "system", "slots"],
)
@pytest.mark.parametrize("make", [Shop, AttrsShop, ModelShop])
def test_zones_of_any_kind_are_locked(make: Any, wrap: Any) -> None:
    shop = make()
    with TheusEngine(wrap(shop)) as engine:
        assert engine.state.domain.orders == 0
        assert refused(shop)
    assert not refused(shop)


def test_the_engine_made_last_holds_the_lock() -> None:
    system = System()
    with TheusEngine(system) as second:
        with TheusEngine(system):
            assert refused(system.domain)
        with second.edit() as context:
            context.domain.orders = 1
        assert second.state.domain.orders == 1
