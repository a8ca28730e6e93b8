#!/bin/sh
# In an image: a C++ compiler, and in /opt/venv what specvit runs on, as requirements.lock has it,
# without the tools for developing it. Run in the folder that holds the lock.
set -eu

apt-get update
# torch.compile builds its kernels where they run.
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends g++
rm -rf /var/lib/apt/lists/*

python3 -m venv /opt/venv
uv_version=$(sed -n 's/^UV_VERSION := //p' Makefile)
/opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check "uv==$uv_version"
/opt/venv/bin/uv pip install --no-cache --compile-bytecode --python /opt/venv/bin/python \
    --constraint requirements.lock --requirement pyproject.toml --extra s3 setuptools
