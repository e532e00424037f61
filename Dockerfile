# The image is used like redis:7: same commands, same port, same volume. See README.md, "In a container".
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p server --bin rialto

FROM debian:bookworm-slim
# redis-cli for the health check and for people; the server is ours.
RUN apt-get update \
 && apt-get install -y --no-install-recommends redis-tools \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 999 redis \
 && useradd --system --uid 999 --gid redis --home-dir /data --no-create-home redis \
 && mkdir /data && chown redis:redis /data
COPY --from=build /src/target/release/rialto /usr/local/bin/rialto
COPY ops/docker/entrypoint.sh /usr/local/bin/docker-entrypoint.sh
# Under this name the binary takes redis-server's command line.
RUN ln -s rialto /usr/local/bin/redis-server
VOLUME /data
WORKDIR /data
EXPOSE 6379
HEALTHCHECK --interval=10s --timeout=5s --retries=5 \
  CMD redis-cli ${REDIS_PASSWORD:+--no-auth-warning -a "$REDIS_PASSWORD"} ping | grep -q PONG
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
