"""What the model can be asked for."""

from __future__ import annotations

from fastapi import APIRouter

from loopwright.engine.base import ModelInfo
from loopwright.http.state import ServiceOf
from loopwright.music.tempo import BARS
from loopwright.planning.plan import ModelLimits

router = APIRouter(tags=["model"])

ENDPOINTS = {
    "/generate": "Text-to-audio generation",
    "/generate/style-transfer": "Audio-to-audio style transfer",
    "/generate/loop": "BPM-aware loop generation (text or style transfer)",
    "/generate/loop-with-riff": "Loops from the personal riff library",
    "/generate/loop-guided": "Loops that keep parts of their source",
    "/generate/variation": "Versions near a loop",
    "/generate/inpaint": "Some bars of a loop made new",
    "/generate/stack": "Loops that play together, and their mix",
}


@router.get("/model/info", summary="The model and its parameters")
async def model_info(service: ServiceOf) -> dict[str, object]:
    """Waits until the model is loaded; 503 if it could not be."""
    return describe(await service.model_info())


def describe(info: ModelInfo) -> dict[str, object]:
    """The contract's description of a model, with what it cannot do."""
    limits = info.limits
    return {
        "config": {
            "diffusion_objective": info.objective,
            "io_channels": info.latent_channels,
            "max_duration_seconds": limits.whole_seconds,
            "sample_rate": limits.sample_rate,
            "sample_size": limits.window_samples,
        },
        "device": info.device,
        "engine": info.engine,
        "precision": info.precision,
        "limitations": list(info.limitations),
        "model_name": info.name,
        "supported_endpoints": ENDPOINTS,
        "supported_parameters": _parameters(limits),
    }


def _parameters(limits: ModelLimits) -> dict[str, object]:
    return {
        "bars": {"default": "auto", "options": sorted(BARS), "type": "int"},
        "cfg_scale": {"default": limits.default_cfg_scale, "range": "0-20", "type": "float"},
        "loop_type": {
            "default": "auto",
            "options": ["drums", "instruments", "auto"],
            "type": "string",
        },
        "negative_prompt": {"required": False, "type": "string"},
        "prompt": {"required": True, "type": "string"},
        "return_format": {"default": "file", "options": ["file", "base64"], "type": "string"},
        "sampler_type": {
            "default": limits.samplers[0],
            "options": list(limits.samplers),
            "type": "string",
        },
        "seed": {"default": -1, "note": "-1 for random", "type": "int"},
        "steps": {"default": limits.default_steps, "range": f"1-{limits.max_steps}", "type": "int"},
        "style_strength": {
            "default": 0.8,
            "note": "For style transfer",
            "range": "0.1-1.0",
            "type": "float",
        },
    }
