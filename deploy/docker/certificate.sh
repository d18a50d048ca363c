#!/bin/sh
# Makes the server certificate of the demo from its authority: FOLDER [--again]. Both files are replaced by
# renaming, the certificate last, so that a daemon never reads one of each.
set -eu

folder=$1
if [ "${2:-}" != --again ] && [ -s "$folder/cert.pem" ] && [ -s "$folder/key.pem" ] &&
  openssl x509 -in "$folder/cert.pem" -noout -checkend 2592000 >/dev/null; then
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl ecparam -name prime256v1 -genkey -noout -out "$work/key.pem"
openssl req -new -key "$work/key.pem" -subj "/CN=www.demo.test" -out "$work/cert.csr"
cat >"$work/extensions" <<END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:www.demo.test,DNS:demo.test,DNS:*.demo.test
END
openssl x509 -req -in "$work/cert.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -sha256 -days 397 \
  -set_serial "0x$(openssl rand -hex 16)" -out "$work/cert.pem" -extfile "$work/extensions" 2>/dev/null
chmod 0644 "$work/key.pem" "$work/cert.pem"
cp "$work/key.pem" "$folder/key.pem.new"
cp "$work/cert.pem" "$folder/cert.pem.new"
mv "$folder/key.pem.new" "$folder/key.pem"
mv "$folder/cert.pem.new" "$folder/cert.pem"
