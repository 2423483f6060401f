"""What the model can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from loopwright.engine.base import ModelInfo
from loopwright.http.state import ServiceOf
from loopwright.kinds.loop import LoopRequest
from loopwright.kinds.request import request_schema
from loopwright.kinds.table import KINDS

router = APIRouter(tags=["model"])

PARAMETERS = (
    "bars",
    "cfg_scale",
    "loop_type",
    "negative_prompt",
    "prompt",
    "return_format",
    "sampler_type",
    "seed",
    "steps",
    "style_strength",
)
"""The parameters that clients build their controls from, of all that a loop has."""

NOTES = {"seed": "-1 for random", "style_strength": "For style transfer"}

TYPE_NAMES = {"integer": "int", "number": "float", "string": "string"}
"""JSON Schema's names of types, and those of ``/model/info``."""


@router.get("/model/info", summary="The model and its parameters")
async def model_info(service: ServiceOf) -> dict[str, object]:
    """Wait until the model is loaded and describe it; answer 503 if it could not be loaded."""
    return describe(await service.model_info())


def describe(info: ModelInfo) -> dict[str, object]:
    """Return the description of a model, by the names of the contract."""
    limits = info.limits
    # as the request has them, and as this model limits them
    fields = request_schema(LoopRequest)["properties"]
    parameters = {name: _parameter(name, fields[name]) for name in PARAMETERS}
    parameters["cfg_scale"]["default"] = limits.default_cfg_scale
    parameters["steps"] |= {"default": limits.default_steps, "range": f"1-{limits.max_steps}"}
    parameters["sampler_type"] = {
        "default": limits.samplers[0],
        "options": list(limits.samplers),
        "type": "string",
    }
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
        "supported_endpoints": {kind.path: kind.summary for kind in KINDS},
        "supported_parameters": parameters,
    }


def _parameter(name: str, schema: Mapping[str, Any]) -> dict[str, object]:
    # a field that may be null is one of two types, the other of which is null
    schema = {**schema, **schema.get("anyOf", [{}])[0]}
    options = schema.get("enum")
    if options is None and schema["type"] == "string":
        return {"required": "default" not in schema, "type": "string"}
    parameter: dict[str, object] = {"default": schema["default"]}
    if options is not None:
        numbers = [option for option in options if not isinstance(option, str)]
        parameter |= {"options": numbers or options, "type": "int" if numbers else "string"}
    else:
        parameter["type"] = TYPE_NAMES[schema["type"]]
        if schema["minimum"] >= 0:
            parameter["range"] = f"{schema['minimum']}-{schema['maximum']}"
    if name in NOTES:
        parameter["note"] = NOTES[name]
    return parameter
