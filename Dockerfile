# The whole product in one image: docker build -t drydock .
FROM debian:trixie AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl gcc libc6-dev git nodejs npm python3 rustup \
    && rm -rf /var/lib/apt/lists/* && rustup default 1.95.0
WORKDIR /drydock
COPY . .
RUN apt-get update && cargo xtask build

FROM debian:trixie-slim
COPY --from=build /drydock/target/release/drydock /usr/local/bin/drydock
VOLUME /var/lib/drydock
EXPOSE 8080
ENTRYPOINT ["drydock"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
