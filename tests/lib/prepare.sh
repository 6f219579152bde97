#!/bin/bash
# For tests/run and tests/demo to source: what has to be installed, and how a build tree is made. Expects the tree's top as working directory.
set -euo pipefail

PACKAGES=(gcc g++ libc6-dev clang meson ninja-build pkg-config libev-dev libinih-dev libssl-dev protobuf-compiler protobuf-c-compiler libprotobuf-c-dev
    libsqlite3-dev libcurl4-openssl-dev libjansson-dev libcmocka-dev openssl python3 python3-pytest python3-protobuf iproute2 nftables procps util-linux mount mandoc redis-server redis-tools etcd-server binutils spin keepalived stress-ng nginx-light haproxy)

# Installs what is missing, and touches nothing when nothing is.
install_packages() {
    local missing=() p
    for p in "${PACKAGES[@]}"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || missing+=("$p")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    echo "installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # A server that is installed for the tests is not started by its package.
    local policy=/usr/sbin/policy-rc.d ours=no
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        ours=yes
    fi
    local status=0
    { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } || status=$?
    [[ $ours == no ]] || rm -f "$policy"
    return "$status"
}

# configure DIR [-Doption=value…]: meson setup once; later only the options again.
configure() {
    local dir=$1
    shift
    if [[ -f $dir/build.ninja ]]; then
        meson configure "$dir" "$@"
    else
        rm -rf "$dir/meson-private" "$dir/meson-info"
        meson setup "$dir" "$@"
    fi
}

build_programs() {
    configure build -Dbuildtype=debugoptimized -Dwerror=true
    ninja -C build
}
