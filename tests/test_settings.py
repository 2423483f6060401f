"""Settings from flags and the environment."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from loopwright.cli.main import serve
from loopwright.errors import InvalidInput
from loopwright.settings import Settings, env_var, help_of, read_settings, settings_table


def test_a_flag_counts_before_the_environment_and_that_before_the_default() -> None:
    outside = {"LOOPWRIGHT_PORT": "9000", "LOOPWRIGHT_MODEL": "pocket", "LOOPWRIGHT_DEVICE": ""}
    made = read_settings({"port": 9001, "model": None}, outside)
    assert (made.port, made.model, made.device) == (9001, "pocket", "auto")


def test_text_from_outside_becomes_what_the_setting_is() -> None:
    outside = {
        "LOOPWRIGHT_MODEL_MEMORY_GB": "1.5",
        "LOOPWRIGHT_RIFFS_DIR": "/riffs",
        "LOOPWRIGHT_THREADS": "2",
    }
    made = read_settings({}, outside)
    assert (made.model_memory_gb, made.riffs_dir, made.threads) == (1.5, Path("/riffs"), 2)


def test_every_default_is_allowed() -> None:
    assert read_settings({}, {}) == Settings()
    given = {field.name: field.default for field in fields(Settings)}
    assert read_settings(given, {}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("port", "-1"),
        ("port", "http"),
        ("threads", "1025"),
        ("queue_size", "0"),
        ("max_body_bytes", "999"),
        ("header_timeout_seconds", "0"),
        ("body_timeout_seconds", "nan"),
        ("shutdown_grace_seconds", "-1"),
        ("max_models", "0"),
        ("model_memory_gb", "0"),
        ("max_upload_seconds", "0"),
        ("device", "tpu"),
        ("log_level", "loud"),
        ("log_format", "xml"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_what_the_setting_means(
    name: str, value: str
) -> None:
    with pytest.raises(InvalidInput, match=f'setting {name} cannot be "{value}"') as caught:
        read_settings({}, {env_var(name): value})
    assert caught.value.field == name
    assert help_of(name) in caught.value.message


def test_every_setting_has_words() -> None:
    assert all(help_of(field.name).endswith(".") for field in fields(Settings))


def test_the_token_is_the_hubs_own_variable_and_never_shown() -> None:
    made = read_settings({}, {"HF_TOKEN": "hf_secret"})
    assert made.hf_token == "hf_secret"
    assert "hf_secret" not in repr(made)


def test_the_readme_has_the_settings_table() -> None:
    """Where it fails: put the output of ``settings_table`` between the markers."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    found = re.search(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", readme, re.DOTALL)
    assert found is not None, "README.md has no <!-- settings --> … <!-- /settings -->"
    assert found[1].strip() == settings_table()


def test_the_table_has_a_row_per_setting_and_names_flags_that_exist() -> None:
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(fields(Settings))
    assert all(row.count("|") == 5 for row in rows)
    known = set(inspect.signature(serve).parameters)
    for row in rows:
        for flag in re.findall(r"`--([a-z-]+)`", row.split("|")[2]):
            known.remove(flag.replace("-", "_"))
    assert not known
