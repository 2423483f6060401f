"""The Hugging Face hub: names checked before anything is touched, files fetched or found in its cache, trouble explained.

Knows: repositories, files, tokens. Does not know: what is in the files. Downloads, the cache and offline mode
(``HF_HUB_OFFLINE=1``) are the huggingface_hub library's own.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import (
    HfApi,
    constants,
    hf_hub_download,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from loopwright.errors import InvalidInput, ModelUnavailable, NotFound, shown
from loopwright.model.files import CONFIG_FILE, WEIGHT_FILES, ModelFiles

ANY_REPO = "*"
RETRY_AFTER_SECONDS = 60

TEXT_ENCODER_FILES = ("config.json", "model.safetensors")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "spiece.model",
    "special_tokens_map.json",
)

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


class Hub:
    """allowed: the repositories that may be used; ``*`` among them allows all. token: None is the library's own login."""

    def __init__(self, allowed: Collection[str], token: str | None = None) -> None:
        self.has_token = token is not None
        self._allowed = allowed
        self._token = token

    def check_name(self, repo: str, field: str = "model") -> None:
        """Raises InvalidInput for what is no repository's name, or is not allowed."""
        if not _NAME.fullmatch(repo) or ".." in repo or "--" in repo:
            raise InvalidInput(
                f"{field} must be a hub repository such as owner/name, got {shown(repo)}",
                field=field,
            )
        if ANY_REPO not in self._allowed and repo not in self._allowed:
            raise InvalidInput(
                f"{field} must be a repository this server allows ({', '.join(sorted(self._allowed))}), "
                f"got {shown(repo)}; "
                "LOOPWRIGHT_ALLOWED_REPOS sets them",
                field=field,
                code="repo_not_allowed",
            )

    def is_cached(self, repo: str) -> bool:
        """Whether a model's configuration and weights are whole in the cache. Touches no network."""
        return _is_in_cache(repo, CONFIG_FILE) and any(
            _is_in_cache(repo, name) for name in WEIGHT_FILES
        )

    def fetch_model(self, repo: str) -> ModelFiles:
        """Download a model, or find it in the cache. Raises NotFound, ModelUnavailable."""
        self.check_name(repo)
        config = self.fetch(repo, CONFIG_FILE)
        try:
            return ModelFiles(config, self.fetch(repo, WEIGHT_FILES[0]))
        except NotFound:
            return ModelFiles(config, self.fetch(repo, WEIGHT_FILES[1]))

    def fetch(self, repo: str, file: str) -> Path:
        """Download one file of a repository, or find it in the cache. Raises NotFound, ModelUnavailable."""
        with _translated_errors(repo, file):
            return Path(hf_hub_download(repo, file, token=self._token))

    def is_repo(self, name: str) -> bool:
        """Whether this can be the name of a repository."""
        return _NAME.fullmatch(name) is not None

    def files(self, repo: str) -> list[str]:
        """The files of a repository; those in the cache where the hub cannot be reached. Raises NotFound, ModelUnavailable."""
        try:
            with _translated_errors(repo, "the list of files"):
                return HfApi(endpoint=constants.ENDPOINT, token=self._token).list_repo_files(repo)
        except ModelUnavailable:
            cached = _cached_files(repo)
            if cached:
                return cached
            raise

    def fetch_text_encoder(self, name: str) -> Path:
        """The folder of a text encoder of the transformers library, with its tokenizer."""
        with _translated_errors(name, "the text encoder"):
            folder = Path(
                snapshot_download(
                    name, token=self._token, allow_patterns=[*TEXT_ENCODER_FILES, *TOKENIZER_FILES]
                )
            )
        missing = [file for file in TEXT_ENCODER_FILES if not (folder / file).is_file()]
        if missing:  # offline, a download that was broken off is served as it is
            raise ModelUnavailable(
                f"{name} is not whole in the hub's cache: {', '.join(missing)} is missing"
            )
        return folder


def _is_in_cache(repo: str, file: str) -> bool:
    return isinstance(try_to_load_from_cache(repo, file), str)


def _cached_files(repo: str) -> list[str]:
    """What the cache has of a repository's main branch."""
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    try:
        snapshot = folder / "snapshots" / (folder / "refs" / "main").read_text().strip()
    except OSError:
        return []
    return [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]


@contextmanager
def _translated_errors(repo: str, file: str) -> Iterator[None]:
    """Turn the library's errors into ours, each with what to do about it."""
    page = f"{constants.ENDPOINT}/{repo}"
    try:
        yield
    except GatedRepoError as error:
        raise _unavailable(_gated(error, repo, page)) from None
    except RepositoryNotFoundError:
        raise NotFound(
            f"there is no repository {repo} on the hub, or the token may not see it; look at {page}",
            field="finetune_repo",
            details={"hint": f"check the name at {page}; private repositories need HF_TOKEN"},
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise _unavailable(_not_reached(error, repo, file)) from None
    except EntryNotFoundError:
        raise NotFound(
            f"{repo} has no file {file}; look at {page}/tree/main", field="finetune_checkpoint"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise _unavailable(f"the hub answered {status} for {repo}: {_first_line(error)}") from None
    except OSError as error:
        raise _unavailable(_disk(error, repo)) from None
    except (
        Exception
    ) as error:  # errors of the library's transport, whose classes change with its version
        raise _unavailable(
            f"{file} of {repo} could not be downloaded: {_first_line(error)}"
        ) from error


def _gated(error: GatedRepoError, repo: str, page: str) -> str:
    if error.response.status_code == 401:
        return f"{repo} needs a token: accept its licence at {page}, then set HF_TOKEN to a token of that account"
    return f"the account of HF_TOKEN has not accepted the licence of {repo}: open {page}, accept it, and try again"


def _not_reached(error: Exception, repo: str, file: str) -> str:
    if constants.HF_HUB_OFFLINE:
        return (
            f"{file} of {repo} is not in the hub's cache, and HF_HUB_OFFLINE forbids to download it"
        )
    cause = error.__cause__
    return (
        f"{constants.ENDPOINT} cannot be reached, and {file} of {repo} is not in the hub's cache"
        + (f" ({_first_line(cause)})" if cause is not None else "")
    )


def _disk(error: OSError, repo: str) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"the disk of the hub's cache ({constants.HF_HUB_CACHE}) is full; make room for {repo}"
        )
    return f"{repo} could not be fetched: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _unavailable(message: str) -> ModelUnavailable:
    return ModelUnavailable(message, retry_after=RETRY_AFTER_SECONDS)
