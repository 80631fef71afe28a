# The gateway as one static binary, and the authorities that Debian knows: docker build -t zerogate:0.1.0 .
FROM rust:1.95-bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends cmake
WORKDIR /zerogate
COPY . .
# With a target named, the flags are not for what runs during the build.
RUN RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --release --locked --package gateway --target "$(uname -m)-unknown-linux-gnu" \
    && strip --strip-all -o /usr/local/bin/zerogate "target/$(uname -m)-unknown-linux-gnu/release/zerogate"

FROM scratch
COPY --from=build /usr/local/bin/zerogate /zerogate
# For apps that speak TLS and name no authority of their own.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/zerogate"]
