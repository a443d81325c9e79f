# ── base: airlock/base:pytorch-pytorch2.13-python3.11-cpu-b582d1ea84764e69fab3
FROM python:3.11-slim-bookworm@sha256:abababababababababababababababababababababababababababababababab AS install
LABEL io.airlock.layer=airlock/base:pytorch-pytorch2.13-python3.11-cpu-b582d1ea84764e69fab3
USER 0:0
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_NO_INDEX
COPY install/ /tmp/install/
RUN if [ -s /tmp/install/ca.pem ]; then export PIP_CERT=/tmp/install/ca.pem; fi; python -m pip install --disable-pip-version-check --no-cache-dir --no-warn-script-location --prefix=/install --find-links /tmp/install/wheels --no-deps -r /tmp/install/requirements.txt && mkdir -p /install && python /tmp/install/slim.py /install

FROM python:3.11-slim-bookworm@sha256:abababababababababababababababababababababababababababababababab
LABEL io.airlock.layer=airlock/base:pytorch-pytorch2.13-python3.11-cpu-b582d1ea84764e69fab3
RUN mkdir -p /usr/share/man/man1 && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends libgl1 libgomp1 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
COPY --from=install /install/ /usr/local/
RUN mkdir -p /home/mind /opt/airlock/package && chmod 1777 /home/mind && ldconfig

# requirements
numpy==2.4.6
scikit-learn==1.9.1

# ── dependencies: airlock/dependencies:pytorch-pytorch2.13-python3.11-cpu-2b7895c0c80a7ca31640
set -eu
cd /tmp/install
. ./environment
if [ -s ca.pem ]; then export PIP_CERT=/tmp/install/ca.pem SSL_CERT_FILE=/tmp/install/ca.pem; fi
: > began
if [ -f uv ]; then
  chmod 755 uv
  ./uv pip install --python "$(command -v python)" --break-system-packages --link-mode copy ${UV_ARGUMENTS:-} \
    -c constraints.txt -r requirements.txt
  python -S -E slim.py /usr/local
  find /usr/local/lib -name '*.py' -cnewer began > new
  if [ -s new ]; then python -S -E -m compileall -q -i new > /dev/null || true; fi
else
  python -m pip install --disable-pip-version-check --no-warn-script-location \
    --find-links wheels -c constraints.txt -r requirements.txt
  python -S -E slim.py /usr/local
fi

# requirements
numpy==1.26.4
Pandas>=2.0
six
/tmp/install/bundled/wheels/x-1.0-py3-none-any.whl

# ── serving: airlock/serving:pytorch-pytorch2.13-python3.11-cpu-eb1a5a8f76a152cd8ba4
FROM airlock/dependencies:pytorch-pytorch2.13-python3.11-cpu-2b7895c0c80a7ca31640
LABEL io.airlock.layer=airlock/serving:pytorch-pytorch2.13-python3.11-cpu-eb1a5a8f76a152cd8ba4
LABEL io.airlock.build="own" \
    io.airlock.engine="PyTorch" \
    io.airlock.runtime="pytorch2.13-python3.11-cpu" \
    io.airlock.serving="sha256:5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e" \
    org.opencontainers.image.base.name="python:3.11-slim-bookworm@sha256:abababababababababababababababababababababababababababababababab" \
    org.opencontainers.image.title="PyTorch pytorch2.13-python3.11-cpu" \
    org.opencontainers.image.version="1.9.1"
COPY serving/ /opt/airlock/serving/
ENV AIRLOCK_BASE_CLASS="model_service.pytorch_model_service:PTServingBaseService" \
    AIRLOCK_ENGINE="PyTorch" \
    AIRLOCK_HOME="/home/mind" \
    AIRLOCK_MODEL_PATH="*.pth,*.pt" \
    AIRLOCK_PACKAGE_DIR="/opt/airlock/package" \
    GREETING="a \"b\" \$HOME \\ c" \
    OMP_NUM_THREADS="2" \
    PYTHONDONTWRITEBYTECODE="1" \
    PYTHONPATH="/opt/airlock/serving" \
    PYTHONUNBUFFERED="1"
WORKDIR /home/mind
USER 65534:65534
EXPOSE 8080
CMD ["python", "-m", "model_service.server"]

# requirements
