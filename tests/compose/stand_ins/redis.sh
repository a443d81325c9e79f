#!/bin/sh
# As the public image begins: the data folder is given to the user redis, who then runs the server.
set -e
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
umask 0077
# Debian's own file of settings keeps Redis to the loopback interface; the public image has none, and turns this off.
exec "$@" --protected-mode no
