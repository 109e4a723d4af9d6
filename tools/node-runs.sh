#!/bin/sh
# Sees to it that the Node of `npm ci` runs: it needs libatomic, which a small Debian lacks.
node --version >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo 'Installing libatomic1 with apt-get, for Node …' >&2
  apt-get update --quiet >&2 && DEBIAN_FRONTEND=noninteractive \
    apt-get --option=DPkg::Lock::Timeout=600 install --yes --quiet --no-install-recommends libatomic1 >&2
fi
node --version >/dev/null && exit 0
echo 'The Node that npm ci installed does not run. On Debian, install what it needs: sudo apt-get install libatomic1' >&2
exit 1
