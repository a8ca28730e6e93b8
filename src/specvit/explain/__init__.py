"""Where a network looks: relevance of wavelengths for its answers, and how far to believe it."""
