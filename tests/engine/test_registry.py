"""Leases, single loads, eviction, failures."""

from __future__ import annotations

import threading
import time

import pytest

from loopwright.engine import registry as module
from loopwright.engine.base import Engine, ModelKey
from loopwright.engine.registry import Registry
from loopwright.errors import CheckpointError, Conflict, ModelUnavailable
from tests.fakes import FakeEngine, info

A, B, C = ModelKey("a/a"), ModelKey("b/b"), ModelKey("c/c", "x.ckpt")


class Loads:
    """Counts loads; each makes an engine of 10 bytes."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.count: list[ModelKey] = []
        self.engines: dict[ModelKey, FakeEngine] = {}
        self.fail = False
        self.seconds = seconds

    def __call__(self, key: ModelKey) -> Engine:
        self.count.append(key)
        time.sleep(self.seconds)
        if self.fail:
            raise CheckpointError("it is broken")
        self.engines[key] = FakeEngine(info(key, memory_bytes=10))
        return self.engines[key]


def test_two_who_want_the_same_model_load_it_once() -> None:
    loads = Loads(0.05)
    registry = Registry(loads)
    seen: list[Engine] = []

    def use() -> None:
        with registry.lease(A) as engine:
            seen.append(engine)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads.count == [A]
    assert len(set(map(id, seen))) == 1


def test_the_least_recently_used_goes_first() -> None:
    loads = Loads()
    registry = Registry(loads, max_models=2)
    for key in (A, B, A, C):
        with registry.lease(key):
            pass
    assert [one.key for one in registry.loaded()] == [A, C]
    assert loads.engines[B].closed


def test_a_leased_model_is_never_unloaded() -> None:
    loads = Loads()
    registry = Registry(loads, max_models=1)
    with registry.lease(A), registry.lease(B):
        assert not loads.engines[A].closed
        assert registry.clear() == 0
    assert len(registry.loaded()) == 1


def test_the_memory_budget_counts() -> None:
    registry = Registry(Loads(), max_models=9, memory_budget=25)
    for key in (A, B, C):
        with registry.lease(key):
            pass
    assert [one.key for one in registry.loaded()] == [B, C]


def test_one_model_larger_than_the_budget_still_works() -> None:
    registry = Registry(Loads(), memory_budget=5)
    with registry.lease(A):
        pass
    assert [one.key for one in registry.loaded()] == [A]


def test_a_failure_is_told_and_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = Loads()
    loads.fail = True
    registry = Registry(loads)
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="it is broken") as caught, registry.lease(A):
            pass
        assert 1 <= caught.value.retry_after <= module.REMEMBER_FAILURE_SECONDS
    assert loads.count == [A]
    assert registry.status(A).reason == "it is broken"
    monkeypatch.setattr(module, "REMEMBER_FAILURE_SECONDS", 0.0)
    loads.fail = False
    with registry.lease(A):
        pass
    assert registry.status(A).state == "ready"


def test_status_follows_the_load() -> None:
    registry = Registry(Loads(0.1))
    assert registry.status(A).state == "absent"
    registry.preload(A)
    assert registry.status(A).state == "loading"
    with registry.lease(A):
        assert registry.status(A).state == "ready"


def test_clear_unloads_what_nobody_uses() -> None:
    registry = Registry(Loads())
    for key in (A, B):
        with registry.lease(key):
            pass
    assert registry.clear() == 2
    assert registry.loaded() == ()


def test_nothing_is_loaded_after_closing() -> None:
    registry = Registry(Loads())
    registry.close()
    with pytest.raises(Conflict), registry.lease(A):
        pass


def test_many_threads_and_keys_leave_nothing_behind() -> None:
    loads = Loads()
    registry = Registry(loads, max_models=2)
    keys = [ModelKey(f"k/{number}") for number in range(5)]

    def use(start: int) -> None:
        for step in range(40):
            key = keys[(start + step * 7) % 5]
            with registry.lease(key) as engine:
                assert engine.info.key == key
                assert not loads.engines[key].closed or loads.engines[key] is not engine

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.loaded()) <= 2
