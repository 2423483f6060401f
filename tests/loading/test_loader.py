"""From keys to engines that carry out plans: the embedded model, folders, the hub."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from loopwright.audio.types import Audio
from loopwright.engine.base import Engine, ModelInfo, ModelKey, Task
from loopwright.errors import CheckpointError, InvalidInput
from loopwright.kinds.audio import plan_audio
from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.kinds.request import GenerationRequest
from loopwright.loading.backend import BackendOptions
from loopwright.loading.finetunes import BASE_CONFIG_FILE
from loopwright.loading.hub import Hub
from loopwright.loading.loader import Loader
from loopwright.model.sampling import SAMPLERS
from loopwright.model.text import T5TextEncoder
from loopwright.planning.plan import GenerationPlan
from tests.hub_server import HubServer
from tests.tiny import make_model_folder, make_text_encoder

REPO = "someone/a-model"
TORCH = BackendOptions(engine="torch")


def load(source: str, *allowed: str) -> Engine:
    return Loader(Hub(allowed), TORCH, 0, ModelKey("pocket")).load(ModelKey(source))


def carry_out(engine: Engine, plan: GenerationPlan) -> Audio:
    steps = engine.start(plan)
    pending, evaluated = next(steps), 0
    while True:
        evaluated += not isinstance(pending, Task)
        answer = pending.do() if isinstance(pending, Task) else engine.forward(pending)
        try:
            pending = steps.send(answer)
        except StopIteration as end:
            assert evaluated == engine.evaluations(plan)
            audio: Audio = end.value
            return audio


@pytest.fixture(scope="module")
def pocket() -> Engine:
    return load("pocket")


def drums(engine: Engine, **fields: object) -> GenerationPlan:
    return plan_loop(
        LoopRequest.model_validate({"prompt": "techno drums 140bpm", "seed": 1, **fields}),
        engine.info.limits,
    )


@pytest.mark.parametrize("sampler", SAMPLERS["rectified_flow"])
def test_pocket_with_every_sampler(pocket: Engine, sampler: str) -> None:
    audio = carry_out(pocket, drums(pocket, sampler_type=sampler, steps=4))
    assert audio.shape == (2, 302400 + 3528)
    assert np.isfinite(audio).all()
    assert 0.05 < np.abs(audio).max() < 4


def test_pocket_heeds_seed_guidance_and_negative_prompt(pocket: Engine) -> None:
    plain = carry_out(pocket, drums(pocket, steps=3))
    assert np.array_equal(plain, carry_out(pocket, drums(pocket, steps=3)))
    for change in (
        {"seed": 2},
        {"cfg_scale": 1.0},
        {"negative_prompt": "house"},
        {"prompt": "house drums 140bpm"},
    ):
        assert not np.array_equal(plain, carry_out(pocket, drums(pocket, steps=3, **change)))


def test_pocket_says_what_it_is(pocket: Engine) -> None:
    assert pocket.info.name == "pocket"
    assert "no voices" in " ".join(pocket.info.limitations)
    assert pocket.info.limits.default_steps == 12
    assert pocket.info.limits.default_bpm == 120


def test_a_folder_with_its_own_text_encoder(tmp_path: Path) -> None:
    engine = load(str(make_model_folder(tmp_path / "model")))
    request = GenerationRequest(prompt="techno drums", negative_prompt="melody", seed=1)
    audio = carry_out(engine, plan_audio(request, engine.info.limits))
    assert audio.shape == (2, 16384)
    assert np.isfinite(audio).all()
    assert engine.info.name == "model"
    assert engine.info.limits.samplers[0] == "pingpong"


def test_a_model_and_its_text_encoder_from_the_hub(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.publish(REPO, make_model_folder(tmp_path / "model", "sao1-tiny", text_encoder=False))
    make_text_encoder(tmp_path / "t5")
    hub_server.publish("t5-small", tmp_path / "t5")
    engine = load(REPO, REPO)
    assert engine.info.objective == "v"
    request = GenerationRequest(prompt="techno drums", seed=1, steps=4)
    assert np.isfinite(carry_out(engine, plan_audio(request, engine.info.limits))).all()


def test_a_text_encoder_of_another_width_is_refused(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "model", text_encoder=False)
    make_text_encoder(folder / "text_encoder", width=64)
    with pytest.raises(CheckpointError, match="must have 512 channels"):
        load(str(folder))


def test_a_text_encoder_that_is_none(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "model", text_encoder=False)
    (folder / "text_encoder").mkdir()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load(str(folder))


FINETUNE = ModelKey("someone/acid", "acid.ckpt")


def publish_finetune(hub_server: HubServer, base: Path, **more: str) -> None:
    """A finetune with the base's own weights. more: files beside the checkpoint."""
    hub_server.repos[FINETUNE.source] = {
        name.replace("_json", ".json"): text.encode() for name, text in more.items()
    }
    tensors = io.BytesIO()
    torch.save({"state_dict": load_file(base / "model.safetensors")}, tensors)
    hub_server.repos[FINETUNE.source]["acid.ckpt"] = tensors.getvalue()


def with_objective(base: Path, objective: str) -> str:
    """The base's configuration with another objective."""
    config = json.loads((base / "model_config.json").read_text())
    config["model"]["diffusion"]["diffusion_objective"] = objective
    return json.dumps(config)


def load_finetune(base: str) -> ModelInfo:
    return Loader(Hub({FINETUNE.source, base}), TORCH, 0, ModelKey(base)).load(FINETUNE).info


def test_a_finetune_without_a_configuration_is_a_rectified_flow(
    hub_server: HubServer, tmp_path: Path
) -> None:
    base = make_model_folder(tmp_path / "base")
    publish_finetune(hub_server, base)
    info = load_finetune(str(base))
    assert (info.objective, info.limits.default_steps, info.limits.samplers[0]) == (
        "rectified_flow",
        50,
        "euler",
    )
    assert load(str(base)).info.objective == "rf_denoiser"


def test_a_finetune_gets_the_configuration_that_its_base_was_trained_with(
    hub_server: HubServer, tmp_path: Path
) -> None:
    base = make_model_folder(tmp_path / "base")
    publish_finetune(hub_server, base)
    (base / BASE_CONFIG_FILE).write_text(with_objective(base, "v"))
    assert load_finetune(str(base)).objective == "v"


def test_a_finetune_s_own_configuration_counts_first(hub_server: HubServer, tmp_path: Path) -> None:
    base = make_model_folder(tmp_path / "base")
    publish_finetune(hub_server, base, model_config_json=(base / "model_config.json").read_text())
    (base / BASE_CONFIG_FILE).write_text(with_objective(base, "v"))
    assert load_finetune(str(base)).objective == "rf_denoiser"


@pytest.mark.parametrize(("has_one", "objective"), [(True, "v"), (False, "rectified_flow")])
def test_a_finetune_of_a_base_on_the_hub(
    has_one: bool, objective: str, hub_server: HubServer, tmp_path: Path
) -> None:
    base = make_model_folder(tmp_path / "base", text_encoder=False)
    publish_finetune(hub_server, base)
    hub_server.publish(REPO, base)
    if has_one:
        hub_server.repos[REPO][BASE_CONFIG_FILE] = with_objective(base, "v").encode()
    make_text_encoder(tmp_path / "t5")
    hub_server.publish("t5-small", tmp_path / "t5")
    assert load_finetune(REPO).objective == objective


def test_what_was_no_distilled_flow_stays_what_it_was(
    hub_server: HubServer, tmp_path: Path
) -> None:
    base = make_model_folder(tmp_path / "base", "sao1-tiny")
    publish_finetune(hub_server, base)
    assert load_finetune(str(base)).objective == "v"


def test_texts_are_padded_masked_and_cut(tmp_path: Path) -> None:
    make_text_encoder(tmp_path)
    encoder = T5TextEncoder(tmp_path, 8, torch.device("cpu"))
    states, mask = encoder(["techno drums", "", "a b c d e f g h i j k"])
    assert states.shape == (3, 8, 512)
    assert mask.sum(1).tolist() == [3, 1, 8]


def test_the_end_of_a_long_text_is_said_to_be_cut_off(tmp_path: Path) -> None:
    make_text_encoder(tmp_path)
    encoder = T5TextEncoder(tmp_path, 8, torch.device("cpu"))
    text = "techno drums a b c d e f g"
    read = encoder.characters_read(text)
    assert 0 < read < len(text)
    assert encoder(["techno drums"])[1].sum() == 3
    states = [encoder([one])[0] for one in (text, text[:read], text[: read - 2])]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    for whole in ("", "techno drums"):
        assert encoder.characters_read(whole) == len(whole)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there() -> None:
    loader = Loader(Hub(()), BackendOptions(device="cuda"), 0, ModelKey("pocket"))
    with pytest.raises(InvalidInput, match="device must be one this machine has"):
        loader.load(ModelKey("pocket"))
