"""The Hugging Face hub: names checked, files downloaded or found in its cache, errors explained.

Knows: repositories, files, tokens. Does not know: what is in the files. Downloads, the cache and
offline mode (``HF_HUB_OFFLINE=1``) are the huggingface_hub library's own.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Collection, Iterator, Sequence
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

ANY_REPO = "*"
RETRY_AFTER_SECONDS = 60

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


class Hub:
    """The hub, as far as this server may use it.

    Args:
        allowed: Repositories that may be used; ``*`` among them allows all.
        token: Opens gated and private repositories; None: the library's own login.
    """

    def __init__(self, allowed: Collection[str], token: str | None = None) -> None:
        self.has_token = token is not None
        self._allowed = allowed
        self._token = token

    def check_name(self, repo: str, field: str = "model") -> None:
        """Raise InvalidInput, which names ``field``, where this is no repository or not allowed."""
        # the cache joins names with --, and a name with .. could lead out of its folder
        if not self.is_repo(repo) or ".." in repo or "--" in repo:
            raise InvalidInput(
                f"{field} must be a hub repository such as owner/name, got {shown(repo)}",
                field=field,
            )
        if ANY_REPO not in self._allowed and repo not in self._allowed:
            allowed = ", ".join(sorted(self._allowed))
            raise InvalidInput(
                f"{field} must be a repository this server allows ({allowed}), got {shown(repo)}; "
                "LOOPWRIGHT_ALLOWED_REPOS sets them",
                field=field,
                code="repo_not_allowed",
            )

    def is_repo(self, name: str) -> bool:
        """Return whether this can be the name of a repository."""
        return _NAME.fullmatch(name) is not None

    def is_cached(self, repo: str, file: str) -> bool:
        """Return whether a file is whole in the cache. Touches no network."""
        return isinstance(try_to_load_from_cache(repo, file), str)

    def files(self, repo: str) -> list[str]:
        """List the files of a repository; of those in the cache where the hub cannot be reached.

        Raises NotFound, ModelUnavailable.
        """
        try:
            with _translate_errors(repo, "the list of files"):
                return HfApi(endpoint=constants.ENDPOINT, token=self._token).list_repo_files(repo)
        except ModelUnavailable:
            cached = _cached_files(repo)
            if cached:
                return cached
            raise

    def fetch(self, repo: str, file: str) -> Path:
        """Download one file of a repository, or find it in the cache.

        Raises NotFound, ModelUnavailable.
        """
        with _translate_errors(repo, file):
            return Path(hf_hub_download(repo, file, token=self._token))

    def fetch_folder(self, repo: str, files: Sequence[str]) -> Path:
        """Download those of the files that a repository has, or find them in the cache.

        Offline, the folder holds what an earlier download left there, which may be less. Raises
        NotFound, ModelUnavailable.
        """
        with _translate_errors(repo, files[0]):
            return Path(snapshot_download(repo, token=self._token, allow_patterns=list(files)))


def _cached_files(repo: str) -> list[str]:
    """List what the cache has of a repository's main branch."""
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    try:
        snapshot = folder / "snapshots" / (folder / "refs" / "main").read_text().strip()
    except OSError:
        return []
    return [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]


@contextmanager
def _translate_errors(repo: str, file: str) -> Iterator[None]:
    """Turn the library's errors into ours, each with what to do about it."""
    page = f"{constants.ENDPOINT}/{repo}"
    try:
        yield
    except GatedRepoError as error:
        if error.response.status_code == 401:
            message = (
                f"{repo} needs a token: accept its licence at {page}, then set HF_TOKEN to a token "
                "of that account"
            )
        else:
            message = (
                f"the account of HF_TOKEN has not accepted the licence of {repo}: open {page}, "
                "accept it, and try again"
            )
        raise _unavailable(message) from None
    except RepositoryNotFoundError:
        raise NotFound(
            f"there is no repository {repo} on the hub, or the token may not see it; "
            f"look at {page}",
            field="finetune_repo",
            details={"hint": f"check the name at {page}; private repositories need HF_TOKEN"},
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise _unavailable(_explain_unreached(error, repo, file)) from None
    except EntryNotFoundError:
        raise NotFound(
            f"{repo} has no file {file}; look at {page}/tree/main", field="finetune_checkpoint"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise _unavailable(f"the hub answered {status} for {repo}: {_first_line(error)}") from None
    except OSError as error:
        message = f"{repo} could not be fetched: {_first_line(error)}"
        if error.errno == errno.ENOSPC:
            cache = constants.HF_HUB_CACHE
            message = f"the disk of the hub's cache ({cache}) is full; make room for {repo}"
        raise _unavailable(message) from None
    except Exception as error:  # of the library's transport, whose classes change with its version
        message = f"{file} of {repo} could not be downloaded: {_first_line(error)}"
        raise _unavailable(message) from error


def _explain_unreached(error: Exception, repo: str, file: str) -> str:
    if constants.HF_HUB_OFFLINE:
        return (
            f"{file} of {repo} is not in the hub's cache, and HF_HUB_OFFLINE forbids to download it"
        )
    cause = "" if error.__cause__ is None else f" ({_first_line(error.__cause__)})"
    return (
        f"{constants.ENDPOINT} cannot be reached, and {file} of {repo} is not in the hub's cache"
        f"{cause}"
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _unavailable(message: str) -> ModelUnavailable:
    return ModelUnavailable(message, retry_after=RETRY_AFTER_SECONDS)
