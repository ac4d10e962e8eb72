# The sandbox image, for those who would rather build it from a registry's image, or add to it:
#
#     docker build --tag my-sandbox .
#     LLMASOS_SANDBOX_IMAGE=my-sandbox llmasos
#
# What LLMasOS needs inside is /bin/bash and Python 3.9 or newer at /usr/bin/python3.
ARG BASE=python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea
FROM ${BASE}
COPY llmasos/sandbox/image/sandbox.lock /tmp/sandbox.lock
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        bash bc bsdextrautils bzip2 ca-certificates curl diffutils file findutils \
        fonts-droid-fallback gawk git grep gzip hostname jq less make patch procps ripgrep sed \
        sqlite3 tar tree tzdata unzip util-linux xz-utils zip zstd \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir --only-binary :all: --no-deps --require-hashes -r /tmp/sandbox.lock \
    && python3 -c "import matplotlib; print(matplotlib.matplotlib_fname())" > /tmp/place \
    && sed -i "s/^#font.family:.*/font.family: DejaVu Sans, Droid Sans Fallback/" "$(cat /tmp/place)" \
    && rm /tmp/sandbox.lock /tmp/place \
    && ln -sf "$(command -v python3)" /usr/bin/python3 \
    && mkdir -p /workspace /run/llmasos
WORKDIR /workspace
CMD ["/usr/bin/python3"]
