#!/bin/sh
# What has to be there before the servers of a compose file start: prepare.sh DATA_DIR...
#
# A token for Prometheus, and with it the key of all tokens, which servers of one database must share; where
# BUS_PASSWORD is set, the file that says who we are to NATS. What is there already stays as it is, so this may run
# before every start.
set -eu
umask 077
token=${SCRAPE_TOKEN:-/var/lib/scrape/tickwire.token}
first=$1

mkdir -p "$@"
if [ ! -s "$token" ]; then
    tickwire token create --name prometheus --admin --data-dir "$first" > "$token.new" ||
        tickwire token rotate prometheus --data-dir "$first" > "$token.new"
    chmod 644 "$token.new" # Prometheus runs as another user
    mv "$token.new" "$token"
fi
for each in "$@"; do
    if [ ! -e "$each/token.key" ]; then
        cp "$first/token.key" "$each/token.key.new"
        mv "$each/token.key.new" "$each/token.key"
    fi
done
if [ -n "${BUS_PASSWORD:-}" ]; then
    printf 'tickwire:%s\n' "$BUS_PASSWORD" > "$first/../bus.credentials"
fi
