#!/bin/sh
# An authority in the demo (pebble, an ACME server for tests) and its client (lego):
#
#   acme.sh serve      the authority, until it is ended
#   acme.sh trust      takes its root among those that visitors and health checks trust
#   acme.sh renew      a new certificate for all edges and origins; the origins answer the challenge from /acme
#   acme.sh presented ADDRESS    who issued the certificate shown there
#   acme.sh back       a certificate of the demo's own authority again, which is the only one trusted
set -eu

shared=/shared
directory=https://localhost:14000/dir
state=/tmp/lego

# The certificate last, so that a daemon never reads one of each.
install_pair() { # key, certificate
  install -m 0644 "$1" "$shared/key.pem.new"
  install -m 0644 "$2" "$shared/cert.pem.new"
  mv "$shared/key.pem.new" "$shared/key.pem"
  mv "$shared/cert.pem.new" "$shared/cert.pem"
}

case ${1:-} in
  serve)
    export PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0
    exec pebble -config /etc/pebble.json -dnsserver 10.77.1.5:53
    ;;
  trust)
    [ -s "$shared/ca.own.pem" ] || cp "$shared/ca.pem" "$shared/ca.own.pem"
    curl -sSf --cacert /etc/pebble/cert.pem https://localhost:15000/roots/0 -o /tmp/root.pem
    cat "$shared/ca.own.pem" /tmp/root.pem >"$shared/ca.pem.new"
    mv "$shared/ca.pem.new" "$shared/ca.pem"
    ;;
  renew)
    rm -rf "$state"
    LEGO_CA_CERTIFICATES=/etc/pebble/cert.pem lego --accept-tos --server "$directory" --path "$state" \
      --email admin@demo.test --key-type ec256 --domains www.demo.test --domains demo.test \
      --http --http.webroot /acme run
    install_pair "$state/certificates/www.demo.test.key" "$state/certificates/www.demo.test.crt"
    ;;
  presented)
    openssl s_client -connect "$2:443" -servername www.demo.test </dev/null 2>/dev/null | openssl x509 -noout -issuer
    ;;
  back)
    [ ! -s "$shared/ca.own.pem" ] || mv "$shared/ca.own.pem" "$shared/ca.pem"
    /demo/certificate.sh "$shared" --again
    ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
