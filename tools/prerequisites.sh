#!/bin/sh
# Installs the Debian packages that the tests need: PostgreSQL, the Mosquitto clients, Chromium, OpenLDAP, strace. Does nothing if they are there.
# With the argument "bench" those that `make bench` compares with or needs: Mosquitto, InfluxDB, strace; and Telegraf, which is built in bin/peers with
# only the parts that are used.
set -eu
missing=
if [ "${1:-}" = bench ]; then
	[ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
	command -v influxd >/dev/null || missing="$missing influxdb"
	command -v strace >/dev/null || missing="$missing strace"
	if ! command -v telegraf >/dev/null && [ ! -x bin/peers/telegraf ]; then
		echo "building: telegraf"
		GOBIN="$PWD/bin/peers" GOFLAGS= CGO_ENABLED=0 go install -tags "custom,inputs.mqtt_consumer,outputs.influxdb,parsers.influx,serializers.influx" \
			github.com/influxdata/telegraf/cmd/telegraf@v1.37.2 || echo "telegraf cannot be built here: the comparison goes without it"
	fi
else
	[ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || missing="$missing postgresql"
	command -v mosquitto_pub >/dev/null || missing="$missing mosquitto-clients"
	command -v chromium >/dev/null || missing="$missing chromium"
	[ -x /usr/sbin/slapd ] || missing="$missing slapd"
	command -v strace >/dev/null || missing="$missing strace"
fi
[ -n "$missing" ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
$sudo apt-get update -qq
# Nothing of it is to run as a service: the tests start what they need themselves.
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
