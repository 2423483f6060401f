# Loopwright on the CPU. Build: docker build -t loopwright .
FROM python:3.11-slim

# PyTorch's own index has builds without CUDA, gigabytes smaller. Empty: the default index.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# ffmpeg reads what phones and browsers record (docs/audio-input.md)
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ffmpeg libsndfile1 \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md ARCHITECTURE.md ./
# torch first, by itself: it is the largest layer and changes least
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)"
COPY src ./src
RUN pip install --no-cache-dir -c constraints.txt '.[openvino]' && rm -rf /src/*

RUN useradd --create-home loopwright \
 && install -d -o loopwright -g loopwright /cache /riffs /outputs
USER loopwright
WORKDIR /home/loopwright
ENV HF_HOME=/cache/huggingface \
    NUMBA_CACHE_DIR=/cache/numba \
    LOOPWRIGHT_HOST=0.0.0.0 \
    LOOPWRIGHT_OUTPUTS_DIR=/outputs \
    PYTHONUNBUFFERED=1
VOLUME ["/cache", "/riffs", "/outputs"]
EXPOSE 8005
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8005/health')"]
CMD ["loopwright", "serve"]
