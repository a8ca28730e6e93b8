"""What pyproject.toml cannot say: the workflow, which lies beside the package, goes into it."""

from pathlib import Path
from shutil import copy2, copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithWorkflow(build_py):
    """Put the workflow into the wheel, where `specvit.workflow` looks for it."""

    def run(self) -> None:
        """Copy the package, then the workflow; an editable install finds it in the checkout."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "specvit", "pipeline")
        target.mkdir(parents=True, exist_ok=True)
        for name in ("Snakefile", "config.yaml"):
            copy2(name, target)
        for name in ("workflow", "envs"):
            copytree(name, target / name, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithWorkflow})
