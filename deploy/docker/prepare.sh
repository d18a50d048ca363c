#!/bin/sh
# Makes what the demo's containers share, once: an authority and a certificate, tokens, the table of places, and
# the settings of each. Run by the service `prepare`; what is there already stays.
set -eu

shared=${1:-/shared}
here=$(dirname "$0")
umask 022

token() {
  [ ! -s "$shared/$1.token" ] || return 0
  openssl rand -hex 24 >"$shared/$1.token.new"
  mv "$shared/$1.token.new" "$shared/$1.token"
}
for name in admin fleet edge; do token "$name"; done

if [ ! -s "$shared/ca.pem" ]; then
  openssl ecparam -name prime256v1 -genkey -noout -out "$shared/ca.key"
  openssl req -x509 -new -key "$shared/ca.key" -sha256 -days 3650 -subj "/CN=Nearside demo CA" -out "$shared/ca.pem" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -addext "nameConstraints=critical,permitted;DNS:demo.test"
fi
"$here/certificate.sh" "$shared"

if [ ! -s "$shared/places.mmdb" ]; then
  perl "$here/places.pl" "$shared/places.mmdb.new"
  mv "$shared/places.mmdb.new" "$shared/places.mmdb"
fi

fill_in() { # template, name, address
  sed -e "s|@NAME@|$2|g" -e "s|@ADDRESS@|$3|g" "$here/etc/$1.toml" >"$shared/$2.toml"
}
region=1
for name in frankfurt virginia tokyo; do
  fill_in edge "$name-1" "10.77.$region.11"
  fill_in edge "$name-2" "10.77.$region.12"
  region=$((region + 1))
done
fill_in origin origin-1 10.77.1.21
fill_in origin origin-2 10.77.1.22
fill_in geodns ns1 10.77.1.53
fill_in geodns ns2 10.77.2.53
cp "$here/etc/demo.test.zone" "$here/etc/client.toml" "$shared/"
[ -s "$shared/links" ] || cp "$here/etc/links" "$shared/links"
# The daemons run as another user than this.
chmod 0644 "$shared"/*.token "$shared"/key.pem 2>/dev/null || true
echo "event=prepared"
