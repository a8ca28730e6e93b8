"""From spectra to answers: of a run's splits, of files, of what Python holds."""
