"""What is said of a generation, by the names of the contract: in JSON replies and in the log.

The metadata has all parameters of its request, as they were used: sent back as a request, it gives
the same audio.
"""

from __future__ import annotations

from dataclasses import asdict

from loopwright.generation.result import Generation
from loopwright.music.tempo import bar_seconds, bpm_number, loop_samples
from loopwright.planning.plan import Loop

Metadata = dict[str, object]

NOT_OF_ONE_TAKE = frozenset(["n", "candidates", "return_format"])
"""Fields of a request that are about the number of takes and the reply, not about one take."""


def metadata_of(generation: Generation) -> Metadata:
    """Return the metadata of a take."""
    loop = generation.plan.loop
    asked = {name: value for name, value in generation.asked.items() if name not in NOT_OF_ONE_TAKE}
    of_length = _of_audio(generation) if loop is None else _of_loop(generation, loop)
    # what was asked for comes first: a field that was changed is written over
    return {**asked, **of_length, **_of_source(generation), **_of_model(generation)}


def log_fields_of(generation: Generation) -> Metadata:
    """Return the plan in short, the model, and seconds by stage, for the log."""
    plan = generation.plan
    stages = asdict(generation.timings)
    return {
        "model": generation.info.name,
        "seed": plan.seed,
        "steps": plan.steps,
        "cfg_scale": plan.cfg_scale,
        "sampler": plan.sampler,
        "samples": plan.samples,
        "bpm": None if plan.bpm is None else bpm_number(plan.bpm),
        "bars": None if plan.loop is None else plan.loop.bars,
        "source": plan.source is not None,
        **{f"seconds_{stage}": round(seconds, 4) for stage, seconds in stages.items()},
        "seconds_post": round(generation.post_seconds, 4),
    }


def _of_audio(generation: Generation) -> Metadata:
    plan = generation.plan
    return {
        "prompt": plan.words.prompt,
        "negative_prompt": plan.words.negative_prompt,
        "duration_seconds": generation.duration,
        # a style transfer is told of the whole window, however much of it is returned
        "seconds_total": plan.seconds_total if plan.source is None else generation.duration,
        "detected_bpm": None if plan.bpm is None else bpm_number(plan.bpm),
    }


def _of_loop(generation: Generation, loop: Loop) -> Metadata:
    plan, processed = generation.plan, generation.processed
    seam, grid = processed.seam, processed.grid
    samples = loop_samples(loop.bars, loop.bpm, generation.sample_rate)
    metadata: Metadata = {
        "prompt": plan.words.prompt,
        "original_prompt": plan.original_prompt,
        "negative_prompt": plan.words.negative_prompt,
        "loop_type": loop.loop_type,
        "detected_bpm": bpm_number(loop.bpm),
        "bars": loop.bars,
        "loop_duration_seconds": samples / generation.sample_rate,
        "calculated_duration_seconds": float(loop.bars * bar_seconds(loop.bpm)),
        "available_audio_seconds": float(generation.info.limits.window_seconds),
        "seconds_per_bar": float(bar_seconds(loop.bpm)),
        "style_transfer": plan.is_style_transfer,
        "style_strength": plan.init_noise_level if plan.is_style_transfer else None,
        "seam": None if seam is None else asdict(seam),
        "grid": None if grid is None else asdict(grid),
        "shifted_ms": processed.shifted_ms,
    }
    if loop.requested_bars is not None:
        metadata["requested_bars"] = loop.requested_bars
    return metadata


def _of_source(generation: Generation) -> Metadata:
    plan, riff = generation.plan, generation.plan.riff
    metadata: Metadata = {}
    if generation.part is not None:
        metadata["part"] = generation.part
    if plan.source is not None and riff is None:
        metadata["input_audio_shape"] = list(plan.source.shape)
    if plan.is_style_transfer:
        metadata["style_strength"] = plan.init_noise_level
    if riff is not None:
        metadata |= {
            "key": riff.key.name if riff.key.mode is None else riff.key.written,
            "source": "personal_riff_library",
            "riff": riff.filename,
            "original_bpm": bpm_number(riff.original_bpm),
            "semitones": riff.semitones,
        }
    return metadata


def _of_model(generation: Generation) -> Metadata:
    plan, info, redrawn = generation.plan, generation.info, generation.redrawn
    key = info.key
    metadata: Metadata = {}
    if key.checkpoint is not None:  # with `model_type` alone nobody could ask for it again
        metadata |= {"finetune_repo": key.source, "finetune_checkpoint": key.checkpoint}
    if redrawn is not None:
        metadata["redrawn"] = {"seed": redrawn.seed, "attempts": redrawn.attempts}
    return {
        **metadata,
        "steps": plan.steps,
        "cfg_scale": plan.cfg_scale,
        "sampler_type": plan.sampler,
        "seed": plan.seed,
        "sample_rate": generation.sample_rate,
        "generation_time": round(generation.generation_time, 3),
        "realtime_factor": round(generation.duration / generation.generation_time, 2),
        "model": info.name,
        "model_type": key.type,
        "warnings": list(generation.warnings),
        "device": info.device,
        "engine": info.engine,
        "precision": info.precision,
        **generation.gpu_memory,
    }
