#!/bin/sh
# Inside the broker's container: exchange keys with web1, then serve.
set -eu
interlock=/opt/interlock/.venv/bin/interlock
state=/var/lib/interlock
"$interlock" keys target-ca --state "$state" >/trust/target_ca.pub
until [ -s /trust/web1_host_key.pub ]; do sleep 0.2; done
key=$(cut -d' ' -f1,2 /trust/web1_host_key.pub)
sed "s|WEB1_HOST_KEY|$key|" /etc/interlock/interlock.yaml >"$state/interlock.yaml"
exec "$interlock" serve --config "$state/interlock.yaml"
