#!/usr/bin/env bash
# The reference in an environment of its own: stable-audio-tools and only what it needs to make audio.
#
# Its wheel asks for some thirty packages (training, web pages, metrics, other codecs) with pins that exclude each other's
# present releases, so it is installed without them and then given what its code for text to audio imports.
# torchaudio and k-diffusion are imported by that code but never called by what is measured: driver.py stands in for them.
#
# The machine learning library is the one Loopwright runs on (constraints.txt), so that both have the same kernels.
# TORCH_INDEX names the index it comes from; empty: the default index.
set -euo pipefail
cd "$(dirname "$0")"
ROOT=../..
PYTHON=${PYTHON:-python3.11}
VENV=.venv
TORCH_INDEX=${TORCH_INDEX-}

test -x $VENV/bin/python || "$PYTHON" -m venv $VENV || python3 -m venv $VENV
pip() { $VENV/bin/pip --disable-pip-version-check "$1" --quiet -c $ROOT/constraints.txt "${@:2}"; }

pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
pip install numpy einops safetensors transformers tqdm packaging huggingface-hub
pip install --no-deps stable-audio-tools==0.0.19 einops-exts==0.0.4 alias-free-torch==0.0.6

$VENV/bin/python -c 'import torch; print("reference installed, torch", torch.__version__)'
