# One image for all services: they share every dependency, and one build, one layer and one load serve all of them. The argument
# names what runs, as in `services/order/src/main.ts`. Measured in docs/decisions/0017-one-image.md.
ARG BASE=node:24.21.0-bookworm-slim

# What decides the dependencies, apart: its content is the cache key of the next stage, so that a changed source installs nothing.
FROM ${BASE} AS manifests
WORKDIR /src
COPY . .
RUN find . -name '*.ts' -delete && find . -type f ! -name package.json ! -name package-lock.json ! -name .npmrc -delete \
  && find . -type d -empty -delete

FROM ${BASE} AS dependencies
WORKDIR /app
COPY --from=manifests /src ./
RUN npm ci --omit=dev --ignore-scripts --no-update-notifier \
    $(printf -- '--workspace %s ' services/* packages/meshctl) \
  && rm -rf ~/.npm \
  && find . -path '*/node_modules/*' -type f \( -name '*.map' -o -name '*.ts' -o -name '*.[cm]ts' -o -name '*.md' \) -delete

FROM ${BASE} AS runtime
WORKDIR /app
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compile-cache
COPY --from=dependencies /app ./
COPY proto proto
COPY packages packages
COPY services services
# Every program once, up to reading its configuration, which is refused, or its help: what was compiled for it stays. As the user
# who runs it and with the options it runs with: Node keeps a cache for each user, and one for each set of V8's options.
RUN install -d -o 1000 -g 1000 .compile-cache
USER 1000:1000
RUN for service in services/*; do \
    MESH_BAKE=1 node --min-semi-space-size=8 --max-semi-space-size=8 --heap-growing-percent=15 \
      --no-maglev --no-turbo-inlining --no-compact --no-page-promotion --no-memory-reducer \
      --no-flush-bytecode --no-lazy-feedback-allocation --always-sparkplug $service/src/main.ts --help > /dev/null 2>&1 || true; \
  done
ARG VERSION=dev
ARG REVISION=unknown
ENV MESH_VERSION=${VERSION}
LABEL org.opencontainers.image.title="ordermesh" \
  org.opencontainers.image.description="The services of Ordermesh" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
# In a container of 320 MiB Node would collect 1 MiB of new objects at a time: an order costs 12 % less CPU with 8. The rest is so that
# memory does not creep: that room from the start, old objects collected when they are 15 % more and left where they are, pages kept
# through quiet times, one optimizing compiler and no copies of functions in those that call them. What a function needs is made at its
# first call and stays: bytecode, the code it is first compiled to, the types it has seen. Two arenas for malloc instead of eight for
# each core, and what it frees goes back. Measured in docs/performance.md.
ENV MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072
ENTRYPOINT ["node", "--min-semi-space-size=8", "--max-semi-space-size=8", "--heap-growing-percent=15", "--no-maglev", "--no-turbo-inlining", "--no-compact", "--no-page-promotion", "--no-memory-reducer", "--no-flush-bytecode", "--no-lazy-feedback-allocation", "--always-sparkplug"]
CMD ["services/storefront/src/main.ts"]

# For `skaffold dev`: sources can be changed inside the container, and a change restarts the process.
FROM runtime AS dev
USER 0:0
RUN chown -R 1000:1000 proto packages services
USER 1000:1000
# Skaffold copies with the container's tar, which would make a new file in a changed one's place: Node watches the old one, and saw only the first change.
ENV TAR_OPTIONS=--overwrite
# What is watched gets V8's options from here: with others it would compile everything again.
ENTRYPOINT ["node", "--watch", "--watch-preserve-output", "--min-semi-space-size=8", "--max-semi-space-size=8", "--heap-growing-percent=15", "--no-maglev", "--no-turbo-inlining", "--no-compact", "--no-page-promotion", "--no-memory-reducer", "--no-flush-bytecode", "--no-lazy-feedback-allocation", "--always-sparkplug"]

FROM runtime
