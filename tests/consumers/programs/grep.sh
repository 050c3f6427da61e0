#!/bin/bash
# The script that stands in a hundred answers on the web.
kill -USR1 "$(cat /var/run/keepalived.pid)"
for _ in {1..50}; do
    [ -e /tmp/keepalived.data ] && break
    sleep 0.1
done
grep -E 'VRRP Instance|State' /tmp/keepalived.data |
    awk '/VRRP Instance/{name=$NF} /State/{print name, $1, $NF}'
