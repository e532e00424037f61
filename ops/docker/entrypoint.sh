#!/bin/sh
# Starts the server as the user redis, with what a container needs: other containers may connect (the network of the
# container is the boundary), and an append-only file is kept. A configuration file, or a later parameter, says otherwise.
set -eu
[ $# -gt 0 ] || set -- redis-server

# `docker run rialto --port 7000` and `docker run rialto my.conf` mean the server.
case "${1-}" in
    -* | *.conf) set -- redis-server "$@" ;;
esac
[ "${1-}" = redis-server ] || exec "$@"
shift

case "${1-}" in
    --version | -v | --help | -h) exec redis-server "$@" ;;
esac

file=
case "${1-}" in
    '' | -*) ;;
    *)
        file=$1
        shift
        ;;
esac
# Whether the configuration file has a line for the parameter $1.
says() {
    [ -n "$file" ] && grep -qiE "^[[:space:]]*$1[[:space:]]" "$file"
}
says appendonly || set -- --appendonly yes "$@"
says protected-mode || set -- --protected-mode no "$@"
set -- redis-server ${file:+"$file"} "$@"

if [ "$(id -u)" = 0 ]; then
    chown -R redis:redis .
    set -- setpriv --reuid redis --regid redis --clear-groups -- "$@"
fi
exec "$@"
