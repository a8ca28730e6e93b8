"""specvit: from sky surveys to trained, honestly evaluated vision transformers."""

__version__ = "0.2.0"
