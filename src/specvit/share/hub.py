"""A folder with a model, or with data, on the model hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from specvit.errors import ConfigError, MachineError

TOKEN = "HF_TOKEN"


def push(folder: Path, repo: str, kind: Literal["model", "dataset"] = "model") -> str:
    """Upload a folder to a repository of the hub, made (private) if need be; return its address.

    The token is read from the environment alone, and is written nowhere. Raises ConfigError without
    one and for a name that cannot be a repository's, MachineError where the hub cannot be reached
    or refuses.
    """
    token = os.environ.get(TOKEN)
    if not token:
        raise ConfigError(f"--push needs a token that may write, in the environment as {TOKEN}")
    api = HfApi(token=token)
    try:
        api.create_repo(repo, private=True, exist_ok=True, repo_type=kind)
        about = f"Export a {kind} of specvit"
        api.upload_folder(repo_id=repo, folder_path=folder, repo_type=kind, commit_message=about)
    except HFValidationError as error:
        raise ConfigError(f"--push {repo}: {error}") from error
    except (HfHubHTTPError, OSError) as error:
        raise MachineError(f"--push {repo}: the model hub says {error}") from error
    return "/".join([api.endpoint, *(["datasets"] if kind == "dataset" else []), repo])
