#!/bin/sh
# Runs Debian's testssl.sh against HTTPS and MQTTS of the built program and writes docs/security/tls-report.md.
# Fails on any finding of MEDIUM or above. Takes a few minutes. The certificate is made for the run, by an authority made for the run.
set -eu
cd "$(dirname "$0")/.."
if ! command -v testssl >/dev/null; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends testssl.sh openssl >/dev/null
fi
binary=${ISOBAR_TEST_BINARY:-bin/isobar}
dir=$(mktemp -d /tmp/isobar-tls.XXXXXX)
pid=
stop() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT
trap 'exit 130' INT TERM

# An ECDSA P-256 certificate as an authority would issue one: 90 days, names, and where its revocation list would be. The latter is a
# property of the certificate and not of the server; testssl.sh would report its absence.
openssl ecparam -name prime256v1 -genkey -noout -out "$dir/ca.key"
openssl req -x509 -new -key "$dir/ca.key" -sha256 -days 100 -subj '/O=Isobar/CN=Throw-away CA' -addext 'keyUsage=critical,keyCertSign,cRLSign' -out "$dir/ca.pem"
openssl ecparam -name prime256v1 -genkey -noout -out "$dir/key.pem"
openssl req -new -key "$dir/key.pem" -subj '/CN=localhost' -out "$dir/server.csr"
cat >"$dir/ext" <<END
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost
crlDistributionPoints = URI:http://localhost/throw-away.crl
END
openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -set_serial "0x$(openssl rand -hex 16)" -sha256 -days 90 -extfile "$dir/ext" -out "$dir/cert.pem" 2>/dev/null

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
https=$(port) mqtts=$(port)
"$binary" server --data "$dir/data" --http '' --mqtt '' --https "127.0.0.1:$https" --mqtts "127.0.0.1:$mqtts" --tls-cert "$dir/cert.pem" --tls-key "$dir/key.pem" >"$dir/out" 2>"$dir/log" &
pid=$!
n=0
until grep -q '^  Data' "$dir/out"; do
	n=$((n + 1))
	[ $n -lt 300 ] && kill -0 $pid || { cat "$dir/log" >&2; exit 1; }
	sleep 0.1
done

for listener in "https $https" "mqtts $mqtts"; do
	set -- $listener
	echo "== $1"
	# testssl.sh ends with the number of findings; the report decides.
	testssl --quiet --warnings batch --color 0 --ip 127.0.0.1 --add-ca "$dir/ca.pem" --jsonfile "$dir/$1.json" "localhost:$2" >"$dir/$1.txt" || true
done
[ -z "${ISOBAR_TLS_REPORT_KEEP:-}" ] || cp "$dir"/*.json "$dir"/*.txt "$ISOBAR_TLS_REPORT_KEEP"
go run ./tools/tlsreport -version "$("$binary" version)" -tool "$(dpkg-query -W -f '${Version}' testssl.sh)" -out docs/security/tls-report.md "HTTPS=$dir/https.json" "MQTTS=$dir/mqtts.json"
