# One image with the services and the third parties' stand-ins; docker-compose.yml says which one a container runs. Built with
# BuildKit (Docker's default since version 23), for the cache mounts.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc g++ make pkg-config libssl-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p write-service -p cdc-capture -p read-service -p card-processor -p aggregator-site \
 && mkdir /out \
 && cd target/release \
 && cp write-service cdc-capture read-service card-processor aggregator-site /out/

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin waybill
COPY --from=build /out/ /usr/local/bin/
USER 10001:10001
CMD ["write-service", "--help"]
