# ── base image: airlock-base/caffe:1.0.0-python3.7-gpu
FROM debian:buster-slim
RUN echo 'deb http://archive.debian.org/debian buster main contrib non-free' > /etc/apt/sources.list \
 && apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    python3-caffe-cuda python3-numpy python3-protobuf python3-skimage \
    python3-pip python3-setuptools python3-wheel ca-certificates \
 && python3 -m pip install --no-cache-dir pip==21.3.1 \
 && ln -sf /usr/bin/python3 /usr/local/bin/python \
 && mkdir -p /usr/local/lib/python3.7/dist-packages \
 && echo /usr/local/lib/python3.7/site-packages > /usr/local/lib/python3.7/dist-packages/airlock.pth \
 && rm -rf /var/lib/apt/lists/*

# ── base: airlock/base:caffe-python3.7-gpu-genuine-85d449fcc20e6982ca90
FROM airlock-base/caffe:1.0.0-python3.7-gpu AS install
LABEL io.airlock.layer=airlock/base:caffe-python3.7-gpu-genuine-85d449fcc20e6982ca90
USER 0:0
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_NO_INDEX
COPY install/ /tmp/install/
RUN if [ -s /tmp/install/ca.pem ]; then export PIP_CERT=/tmp/install/ca.pem; fi; python -m pip install --disable-pip-version-check --no-cache-dir --no-warn-script-location --prefix=/install --find-links /tmp/install/wheels --no-deps -r /tmp/install/requirements.txt && mkdir -p /install && python /tmp/install/slim.py /install

FROM airlock-base/caffe:1.0.0-python3.7-gpu
LABEL io.airlock.layer=airlock/base:caffe-python3.7-gpu-genuine-85d449fcc20e6982ca90
COPY --from=install /install/ /usr/local/
RUN mkdir -p /home/mind /opt/airlock/package && chmod 1777 /home/mind && ldconfig

# requirements
gunicorn==23.0.0
importlib-metadata==6.7.0
markupsafe==2.1.5
packaging==24.0
typing-extensions==4.7.1
werkzeug==2.2.3
zipp==3.15.0

# ── serving: airlock/serving:caffe-python3.7-gpu-genuine-3bcdddb0a52f4aca1706
FROM airlock/base:caffe-python3.7-gpu-genuine-85d449fcc20e6982ca90
LABEL io.airlock.layer=airlock/serving:caffe-python3.7-gpu-genuine-3bcdddb0a52f4aca1706
LABEL io.airlock.build="genuine" \
    io.airlock.engine="Caffe" \
    io.airlock.runtime="python3.7-gpu" \
    io.airlock.serving="sha256:5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e" \
    org.opencontainers.image.base.name="airlock-base/caffe:1.0.0-python3.7-gpu" \
    org.opencontainers.image.title="Caffe python3.7-gpu (build genuine)" \
    org.opencontainers.image.version="1.0.0"
COPY serving/ /opt/airlock/serving/
ENV AIRLOCK_BASE_CLASS="model_service.caffe_model_service:CaffeBaseService" \
    AIRLOCK_ENGINE="Caffe" \
    AIRLOCK_HOME="/home/mind" \
    AIRLOCK_MODEL_PATH="folder" \
    AIRLOCK_PACKAGE_DIR="/opt/airlock/package" \
    PYTHONDONTWRITEBYTECODE="1" \
    PYTHONPATH="/opt/airlock/serving" \
    PYTHONUNBUFFERED="1"
WORKDIR /home/mind
USER 65534:65534
EXPOSE 8080
CMD ["python", "-m", "model_service.server"]

# requirements
