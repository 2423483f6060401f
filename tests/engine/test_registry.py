"""Leases, single loads, eviction, failures."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest

from loopwright.engine import registry as module
from loopwright.engine.base import Engine, ModelKey, Stopgap
from loopwright.engine.registry import Registry
from loopwright.errors import CheckpointError, ModelUnavailable, ShuttingDown
from tests.fakes import FakeEngine, info
from tests.waiting import PATIENCE, Gate, until

A, B, C = ModelKey("a/a"), ModelKey("b/b"), ModelKey("c/c", "x.ckpt")


class Loads:
    """Counts loads; each makes an engine of 10 bytes, once the gate lets it."""

    def __init__(self, gate: Gate | None = None) -> None:
        self.count: list[ModelKey] = []
        self.engines: dict[ModelKey, FakeEngine] = {}
        self.fail = False
        self.gate = gate or Gate(None)

    def __call__(self, key: ModelKey) -> Engine:
        self.count.append(key)
        self.gate.enter()
        if self.fail:
            raise CheckpointError("it is broken")
        self.engines[key] = FakeEngine(info(key, memory_bytes=10))
        return self.engines[key]


def test_two_who_want_the_same_model_load_it_once() -> None:
    loads = Loads(Gate())
    registry = Registry(loads)
    seen: list[Engine] = []
    together = threading.Barrier(8)

    def use() -> None:
        together.wait(PATIENCE)
        with registry.lease(A) as engine:
            seen.append(engine)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    loads.gate.wait_for(1)
    loads.gate.open()
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
    loads = Loads(Gate())
    registry = Registry(loads)
    assert registry.status(A).state == "absent"
    registry.preload(A)
    assert registry.status(A).state == "loading"
    loads.gate.open()
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
    with pytest.raises(ShuttingDown), registry.lease(A):
        pass


class Conversions:
    """Loads stopgaps. Quicker engines are made when their gates open, or fail with ``failure``."""

    def __init__(self) -> None:
        self.slow: dict[ModelKey, FakeEngine] = {}
        self.quick: dict[ModelKey, FakeEngine] = {}
        self.gates = {key: threading.Event() for key in (A, B, C)}
        self.begun: queue.Queue[ModelKey] = queue.Queue()
        self.failure: Exception | None = None

    def __call__(self, key: ModelKey) -> Stopgap:
        self.slow[key], self.quick[key] = FakeEngine(info(key)), FakeEngine(info(key))
        return Stopgap(self.slow[key], lambda: self._improve(key))

    def _improve(self, key: ModelKey) -> Engine:
        self.begun.put(key)
        assert self.gates[key].wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        return self.quick[key]


def test_a_stopgap_serves_until_the_quicker_engine_is_there() -> None:
    loads = Conversions()
    registry = Registry(loads)
    with registry.lease(A) as held:
        assert held is loads.slow[A]
        assert registry.status(A).converting
        loads.gates[A].set()
        until(lambda: not registry.status(A).converting)
        with registry.lease(A) as engine:
            assert engine is loads.quick[A]
        assert not loads.slow[A].closed  # a run that began on it ends on it
    assert loads.slow[A].closed
    assert not loads.quick[A].closed
    assert [one.key for one in registry.loaded()] == [A]


def test_a_stopgap_that_nobody_holds_is_closed_when_it_is_replaced() -> None:
    loads = Conversions()
    registry = Registry(loads)
    with registry.lease(A):
        pass
    loads.gates[A].set()
    until(lambda: loads.slow[A].closed)
    with registry.lease(A) as engine:
        assert engine is loads.quick[A]


def test_one_conversion_at_a_time() -> None:
    loads = Conversions()
    registry = Registry(loads)
    for key in (A, B):
        with registry.lease(key):
            pass
    first = loads.begun.get(timeout=PATIENCE)
    (second,) = {A, B} - {first}
    assert registry.status(second).converting  # waits for its turn, and serves meanwhile
    assert loads.begun.empty()
    loads.gates[first].set()
    assert loads.begun.get(timeout=PATIENCE) == second
    assert not registry.status(first).converting
    loads.gates[second].set()
    until(lambda: not registry.status(second).converting)


@pytest.mark.parametrize("failure", [CheckpointError("no"), RuntimeError("a bug")])
def test_where_no_quicker_engine_can_be_made_the_stopgap_stays(failure: Exception) -> None:
    loads = Conversions()
    loads.failure = failure
    registry = Registry(loads)
    with registry.lease(A):
        pass
    loads.gates[A].set()
    until(lambda: not registry.status(A).converting)
    with registry.lease(A) as engine:
        assert engine is loads.slow[A]
        assert not loads.slow[A].closed
    assert registry.status(A).state == "ready"


@pytest.mark.parametrize("end", [Registry.clear, Registry.close])
def test_a_quicker_engine_of_a_model_that_is_gone_is_closed(
    end: Callable[[Registry], object],
) -> None:
    loads = Conversions()
    registry = Registry(loads)
    with registry.lease(A):
        pass
    loads.begun.get(timeout=PATIENCE)
    end(registry)
    loads.gates[A].set()
    until(lambda: loads.quick[A].closed)
    assert loads.slow[A].closed
    assert registry.loaded() == ()


def test_statuses_name_what_is_loading_and_loaded() -> None:
    gate = threading.Event()

    def load(key: ModelKey) -> Engine:
        assert key == A or gate.wait(PATIENCE)
        return FakeEngine(info(key))

    registry = Registry(load)
    with registry.lease(A):
        pass
    registry.preload(B)
    assert [(key, status.state) for key, status in registry.statuses().items()] == [
        (A, "ready"),
        (B, "loading"),
    ]
    assert registry.statuses()[A].info == info(A)
    gate.set()
    until(lambda: registry.status(B).state == "ready")


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
