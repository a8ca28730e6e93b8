"""The test spectra of a run in the browser: `explore.html`, one page without a server."""
