#!/bin/sh
# Installs the Debian packages that the tests need: PostgreSQL, the Mosquitto clients, Chromium, OpenLDAP. Does nothing if they are there.
set -eu
missing=
[ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || missing="$missing postgresql"
command -v mosquitto_pub >/dev/null || missing="$missing mosquitto-clients"
command -v chromium >/dev/null || missing="$missing chromium"
[ -x /usr/sbin/slapd ] || missing="$missing slapd"
[ -n "$missing" ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
$sudo apt-get update -qq
# Nothing of it is to run as a service: the tests start what they need themselves.
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
