"""specvit: from sky surveys to trained, honestly evaluated vision transformers."""

__version__ = "0.1.0"
