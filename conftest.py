"""Names the plugins: options must exist before pytest parses `--target`, so no conftest can."""

import os

# Importing kio imports Hypothesis, which at once writes into the working directory unless told.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", "build/hypothesis")

pytest_plugins = ["reports.plugin", "conformance.plugin"]
