"""One loop, end to end, by a model of stable-audio-open-small's size: a minute and 4 GB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loopwright.kinds.loop import LoopRequest, plan_loop
from tests.loading.test_loader import carry_out, load
from tests.tiny import make_full_size_folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_loop_of_random_weights(tmp_path: Path) -> None:
    engine = load(str(make_full_size_folder(tmp_path / "full")))
    request = LoopRequest(prompt="techno drums 140bpm", bars=4, seed=1)
    audio = carry_out(engine, plan_loop(request, engine.info.limits))
    assert audio.shape == (2, 302400 + 3528)
    assert np.isfinite(audio).all()
    assert engine.info.memory_bytes == pytest.approx(4 * (340.9e6 + 156.1e6), rel=0.01)
