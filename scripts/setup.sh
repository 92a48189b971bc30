#!/usr/bin/env bash
# setup.sh [build|lint|tests]: installs what is missing on this machine, and says nothing when nothing is.
#   build  what `cargo build` and the demo need: a C and C++ compiler, OpenSSL, PostgreSQL's server programs
#   lint   the same, and checks for rustfmt and clippy
#   tests  build, and Java with Apache Kafka's jars in target/, and PostgreSQL 18 there too
# Debian and Ubuntu by apt-get (as root or by sudo), macOS by brew. It starts no server and makes no database.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-build}

fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

case $purpose in build | lint | tests) ;; *) fail "what is '$purpose'? One of: build, lint, tests" ;; esac

pom=tests/servers/kafka/pom.xml
kafka_version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$pom")
kafka_home=${WAYBILL_KAFKA_HOME:-target/kafka-$kafka_version}
postgres_pom=tests/servers/postgres/pom.xml
postgres_version=$(sed -n 's:.*<postgres.version>\(.*\)</postgres.version>.*:\1:p' "$postgres_pom")
postgres_18=target/postgres-$postgres_version

# --- what is there ---------------------------------------------------------------------------------------------------

has_postgres() {
  local bin
  if [ -n "${PGBIN:-}" ]; then
    [ -x "$PGBIN/postgres" ] && [ -x "$PGBIN/initdb" ]
    return
  fi
  for bin in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin "$(dirname "$(command -v postgres || echo /)")"; do
    if [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ]; then return 0; fi
  done
  return 1
}

has_library() { has pkg-config && pkg-config --exists "$1"; }

# Homebrew's Java and OpenSSL are not on the usual paths.
java_program() {
  local java
  for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" java /opt/homebrew/opt/openjdk/bin/java /usr/local/opt/openjdk/bin/java; do
    if [ -n "$java" ] && "$java" -version >/dev/null 2>&1; then echo "$java"; return 0; fi
  done
  return 1
}

has_java_17() {
  local java version
  java=$(java_program) || return 1
  version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${version:-0}" -ge 17 ]
}

has_kafka() { compgen -G "$kafka_home/kafka_2.13-*.jar" >/dev/null; }

has_postgres_18() {
  local bin=${PGBIN_18:-$postgres_18/bin}
  [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ]
}

# The packages that are missing, by the names that apt-get ($1 = apt) or brew ($1 = brew) has for them.
missing() {
  local apt=() brew=() packages
  { has cc && has gcc; } || apt+=(gcc libc6-dev)
  has g++ || apt+=(g++)
  has make || apt+=(make)
  has pkg-config || { apt+=(pkg-config) && brew+=(pkgconf); }
  has_library openssl || apt+=(libssl-dev)
  has_library zlib || apt+=(zlib1g-dev)
  if [ "$1" = brew ] && ! has_library openssl && ! brew --prefix --installed openssl@3 >/dev/null 2>&1; then brew+=(openssl@3); fi
  has_postgres || { apt+=(postgresql) && brew+=(postgresql@17); }
  if [ "$purpose" = tests ]; then
    has_java_17 || { apt+=("$(java_package)") && brew+=(openjdk); }
    { has_kafka && has_postgres_18; } || has mvn || { apt+=(maven) && brew+=(maven); }
    has_postgres_18 || has xz || apt+=(xz-utils)
  fi
  if [ "$1" = apt ]; then packages="${apt[*]-}"; else packages="${brew[*]-}"; fi
  echo "$packages"
}

# Ubuntu 22.04's default Java is too old for Kafka.
java_package() {
  if has apt-cache && apt-cache show openjdk-17-jre-headless 2>/dev/null | grep -q '^Package:'; then
    echo openjdk-17-jre-headless
  else
    echo default-jre-headless
  fi
}

# --- getting what is not ---------------------------------------------------------------------------------------------

# Debian's packages make and start a database cluster when PostgreSQL is installed, unless they are told not to.
no_cluster=/etc/postgresql-common/createcluster.d/waybill-setup.conf

install_by_apt() {
  local packages root=() script
  packages=$(missing apt)
  [ -n "$packages" ] || return 0
  script="set -e
mkdir -p ${no_cluster%/*}
echo 'create_main_cluster = false' > $no_cluster
trap 'rm -f $no_cluster' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install"
  if [ "$(id -u)" != 0 ]; then
    if ! has sudo; then
      fail "these packages are missing: $packages" "There is no sudo here. As root, run:" \
        "  apt-get update && apt-get install $packages"
    fi
    root=(sudo)
  fi
  echo "setup: installing $packages"
  ${root[@]+"${root[@]}"} bash -c "$script $packages" </dev/null
}

install_by_brew() {
  local packages
  has brew || fail "Homebrew is missing; it installs the rest: https://brew.sh"
  packages=$(missing brew)
  [ -n "$packages" ] || return 0
  echo "setup: installing $packages"
  # shellcheck disable=SC2086 # one word a package
  brew install $packages
}

# Java keeps a list of certificate authorities of its own. One that this system trusts besides (a company's proxy, say)
# is added to a copy of it, for Maven alone. Prints Maven's options, if there is anything to add.
maven_trust() {
  local java=$1 dir=$2 bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt} known file print added=0
  local keytool=${java%/*}/keytool own=${java%/bin/*}/lib/security/cacerts
  has openssl && [ -r "$bundle" ] && [ -x "$keytool" ] && [ -r "$own" ] || return 0
  awk -v dir="$dir" '/BEGIN CERTIFICATE/ { n++ } n { print > (dir "/" n ".pem") } /END CERTIFICATE/ { close(dir "/" n ".pem") }' "$bundle"
  known=$("$keytool" -list -keystore "$own" -storepass changeit 2>/dev/null) || return 0
  for file in "$dir"/*.pem; do
    print=$(openssl x509 -noout -fingerprint -sha256 -in "$file" 2>/dev/null) || continue
    case $known in *"${print#*=}"*) continue ;; esac
    [ $added != 0 ] || install -m 600 "$own" "$dir/cacerts"
    "$keytool" -importcert -noprompt -alias "${file##*/}" -file "$file" -keystore "$dir/cacerts" -storepass changeit \
      >/dev/null 2>&1 && added=$((added + 1))
  done
  [ $added = 0 ] || echo "-Djavax.net.ssl.trustStore=$dir/cacerts -Djavax.net.ssl.trustStorePassword=changeit"
}

# Fetches what a pom lists: maven WORK NAME POM GOAL OPTIONS... WORK is a directory for log and keys.
maven() {
  local work=$1 name=$2 pom=$3 java trust
  shift 3
  mkdir "$work/trust"
  java=$(command -v "$(java_program)")
  if has readlink; then java=$(readlink -f "$java"); fi
  trust=$(maven_trust "$java" "$work/trust")
  if ! JAVA_HOME=${java%/bin/*} MAVEN_OPTS="${MAVEN_OPTS:-} $trust" mvn -B -U -Dstyle.color=never -l "$work/log" -f "$pom" \
    "$@" </dev/null >/dev/null; then
    grep -v '^\[INFO\]' "$work/log" >&2 || true
    fail "Maven could not fetch $name"
  fi
}

# A directory in target/ that goes with this script: what is fetched is moved from there only when whole, so that an
# interrupted fetch is not taken for a finished one.
work_directory() {
  mkdir -p target
  work=$(mktemp -d "$PWD/target/$1.XXXXXX")
  # shellcheck disable=SC2064 # the path of now
  trap "rm -rf '$work'" EXIT
}

fetch_kafka() {
  local work
  has_kafka && return 0
  [ -z "${WAYBILL_KAFKA_HOME:-}" ] || fail "WAYBILL_KAFKA_HOME is $kafka_home, where there are no jars of Kafka"
  echo "setup: fetching Apache Kafka $kafka_version"
  work_directory kafka
  maven "$work" "Apache Kafka" "$pom" dependency:copy-dependencies -DoutputDirectory="$work/jars"
  rm -rf "$kafka_home"
  mv "$work/jars" "$kafka_home"
  rm -rf "$work"
}

sha256() { if has sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1; }

# A PostgreSQL beside the installed one, from an archive within a jar. It is run, so it must be the very one that is known.
fetch_postgres_18() {
  local work platform archive known
  has_postgres_18 && return 0
  [ -z "${PGBIN_18:-}" ] || fail "PGBIN_18 is $PGBIN_18, where there is no \`postgres\` and \`initdb\`"
  case $(uname)-$(uname -m) in
    Linux-x86_64) platform=linux-amd64 archive=postgres-linux-x86_64.txz ;;
    Linux-aarch64) platform=linux-arm64v8 archive=postgres-linux-arm_64.txz ;;
    Darwin-x86_64) platform=darwin-amd64 archive=postgres-darwin-x86_64.txz ;;
    Darwin-arm64) platform=darwin-arm64v8 archive=postgres-darwin-arm_64.txz ;;
    *) fail "there is no PostgreSQL $postgres_version to fetch for $(uname) on $(uname -m);" \
      "install PostgreSQL 18 and set PGBIN_18 to the directory with its \`postgres\` and \`initdb\`" ;;
  esac
  echo "setup: fetching PostgreSQL $postgres_version"
  work_directory postgres
  maven "$work" "PostgreSQL $postgres_version" "$postgres_pom" dependency:unpack-dependencies \
    -Dpostgres.platform=$platform -DexcludeTransitive=true -DmarkersDirectory="$work/markers" -DoutputDirectory="$work/jar"
  known=$(sed -n "s:^\([0-9a-f]*\)  $archive\$:\1:p" tests/servers/postgres/SHA256SUMS)
  [ "$(sha256 "$work/jar/$archive")" = "$known" ] || fail "$archive is not the one in tests/servers/postgres/SHA256SUMS"
  mkdir "$work/postgres"
  tar -xJf "$work/jar/$archive" -C "$work/postgres"
  rm -rf "$postgres_18"
  mv "$work/postgres" "$postgres_18"
  rm -rf "$work"
}

has cargo || fail "Rust is missing: get it from https://rustup.rs, then open a new shell and try again"
if [ "$purpose" = lint ]; then
  cargo fmt --version >/dev/null 2>&1 || fail "rustfmt is missing: rustup component add rustfmt"
  cargo clippy --version >/dev/null 2>&1 || fail "clippy is missing: rustup component add clippy"
fi

if [ "$(uname)" = Darwin ]; then
  install_by_brew
elif has apt-get; then
  install_by_apt
  left=$(missing apt)
  [ -z "$left" ] || fail "still missing after the installation: $left"
else
  left=$(missing apt)
  [ -z "$left" ] || fail "this system has no apt-get; please install what Debian calls: $left"
fi
if [ "$purpose" = tests ]; then
  fetch_kafka
  fetch_postgres_18
fi
