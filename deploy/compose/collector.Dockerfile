# Our OpenTelemetry Collector, made of collector/manifest.yaml by the script that `make collector` runs.
FROM golang:1.26.5-alpine3.24 AS build
WORKDIR /source
COPY scripts/collector scripts/
COPY collector/manifest.yaml collector/
RUN sh scripts/collector

FROM alpine:3.24.1
COPY --from=build /source/build/collector/otelcol /usr/local/bin/otelcol
COPY collector/config /etc/otel_obs/collector
RUN adduser -D -H -u 10001 otelcol && install -d -o 10001 -g 10001 -m 0700 /var/lib/otel_obs_collector
USER 10001:10001
ENTRYPOINT ["otelcol"]
CMD ["--config", "/etc/otel_obs/collector/base.yaml"]
