#!/usr/bin/env bash
# Starts what the tests need, PostgreSQL 15, Redis, OpenLDAP, Prometheus, promtool
# and Chromium, and prints their addresses for eval; it also sees to Node.js and npm:
#
#   eval "$(scripts/services.sh)"        installs what is missing, starts or reuses
#   scripts/services.sh stop             stops what it started
#
# An address that is in the environment already is taken as it is. What can't be
# installed is left out with a warning, and its tests skip; with CI=true that is
# an error. Data and addresses are kept in USHER_SERVICES_DIR (default: a
# directory of the user's, outside the checkout, because PostgreSQL refuses to run
# as root and its own user may not be able to read the checkout).
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
	dir=${USHER_SERVICES_DIR:-/var/lib/usher-test-services}
	owner=postgres # Debian's package brings this user
	as_root() { "$@"; }
	as_owner() { runuser -u "$owner" -- "$@"; }
else
	dir=${USHER_SERVICES_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/usher-test-services}
	owner=$(id -un)
	as_root() { sudo -n "$@"; }
	as_owner() { "$@"; }
fi

say() { echo "services: $*" >&2; }
missing() {
	say "$1 is missing: its tests will skip"
	if [ "${CI:-}" = true ]; then exit 1; fi
}

pg_bin() { # the newest PostgreSQL from 15 on
	local d
	for d in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
		[ -x "$d/initdb" ] && [ "$(basename "$(dirname "$d")")" -ge 15 ] && echo "$d" && return
	done
	command -v initdb >/dev/null && dirname "$(command -v initdb)"
}

install_missing() {
	local want=()
	[ -n "${USHER_TEST_POSTGRES_URL:-}" ] || [ -n "$(pg_bin)" ] || want+=(postgresql-15)
	[ -n "${USHER_TEST_REDIS_URL:-}" ] || command -v redis-server >/dev/null || want+=(redis-server)
	[ -n "${USHER_TEST_LDAP_URL:-}" ] || { [ -x /usr/sbin/slapd ] && command -v ldapwhoami >/dev/null && command -v openssl >/dev/null; } ||
		want+=(slapd ldap-utils openssl)
	[ -n "${USHER_TEST_PROMTOOL:-}" ] || command -v promtool >/dev/null || want+=(prometheus)
	[ -n "${USHER_TEST_CHROMIUM:-}" ] || command -v chromium >/dev/null || want+=(chromium)
	command -v npm >/dev/null || want+=(nodejs npm)
	[ ${#want[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null || ! as_root true 2>/dev/null; then
		say "can't install ${want[*]}: apt-get and root (or sudo without a password) are needed"
		return 0
	fi
	say "installing ${want[*]}"
	# Debian starts what it installs unless this file says no.
	local policy=/usr/sbin/policy-rc.d ours=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
		ours=1
	fi
	local ok=0
	{
		as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
			as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${want[@]}"
	} >&2 || ok=$?
	[ -z "$ours" ] || as_root rm -f "$policy"
	[ "$ok" = 0 ] || say "apt-get failed"
}

# Creates the data directory once the user who owns it exists.
prepare() {
	if [ "$(id -u)" = 0 ]; then
		id "$owner" >/dev/null 2>&1 || return 1
		install -d -o "$owner" -m 700 "$dir"
	else
		install -d -m 700 "$dir"
	fi
}

free_port() { # the first free port from $1 on
	local port=$1
	while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
	echo "$port"
}

put() { as_owner sh -c 'umask 077; cat >"$1"' sh "$1"; }

secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

start_postgres() {
	local bin data=$dir/postgres port password
	bin=$(pg_bin)
	[ -n "$bin" ] && prepare || { missing PostgreSQL; return 0; }
	if [ ! -f "$dir/postgres.url" ]; then
		say "creating a PostgreSQL cluster in $data"
		rm -rf "$data"
		password=$(secret)
		echo "$password" | put "$dir/postgres.password"
		as_owner "$bin/initdb" -D "$data" -U postgres -A scram-sha-256 --pwfile="$dir/postgres.password" \
			-E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
		# Nothing here has to survive a power cut.
		put "$data/postgresql.auto.conf" <<-CONF
			listen_addresses = '127.0.0.1'
			unix_socket_directories = ''
			max_connections = 300
			shared_buffers = 128MB
			fsync = off
			full_page_writes = off
		CONF
	fi
	if ! as_owner "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1; then
		port=$(free_port 54329)
		as_owner "$bin/pg_ctl" -D "$data" -o "-p $port" -l "$dir/postgres.log" -w start >/dev/null 2>&1 ||
			{ tail -5 "$dir/postgres.log" >&2; say "PostgreSQL does not start"; exit 1; }
		echo "postgres://postgres:$(cat "$dir/postgres.password")@127.0.0.1:$port/postgres?sslmode=disable" | put "$dir/postgres.url"
		say "PostgreSQL listens on 127.0.0.1:$port"
	fi
	echo "export USHER_TEST_POSTGRES_URL='$(cat "$dir/postgres.url")'"
}

redis_alive() {
	[ -f "$dir/redis.url" ] && [ "$(redis-cli -u "$(cat "$dir/redis.url")" --no-auth-warning ping 2>/dev/null)" = PONG ]
}

start_redis() {
	local port password
	command -v redis-server >/dev/null && prepare || { missing Redis; return 0; }
	if ! redis_alive; then
		port=$(free_port 63790)
		password=$(secret)
		put "$dir/redis.conf" <<-CONF
			bind 127.0.0.1
			port $port
			requirepass $password
			save ""
			appendonly no
			daemonize yes
			dir $dir
			pidfile $dir/redis.pid
			logfile $dir/redis.log
		CONF
		echo "redis://default:$password@127.0.0.1:$port/0" | put "$dir/redis.url"
		as_owner redis-server "$dir/redis.conf" >/dev/null 2>&1
		local try
		for try in $(seq 50); do redis_alive && break; sleep 0.1; done
		redis_alive || { say "Redis does not start: see $dir/redis.log"; exit 1; }
		say "Redis listens on 127.0.0.1:$port"
	fi
	echo "export USHER_TEST_REDIS_URL='$(cat "$dir/redis.url")'"
}

ldap_alive() {
	[ -f "$dir/ldap.url" ] && ldapwhoami -x -H "$(cat "$dir/ldap.url")" -D cn=admin,dc=usher,dc=test -y "$dir/ldap.password" >/dev/null 2>&1
}

# A directory below dc=usher,dc=test, to which tests add what they need. Who isn't
# bound may search below ou=open only. Binds without a password are accepted, as
# they are by many: it's for the client not to send them.
start_ldap() {
	local port secure etc=$dir/ldap
	[ -x /usr/sbin/slapd ] && command -v ldapwhoami >/dev/null && command -v openssl >/dev/null && prepare || { missing OpenLDAP; return 0; }
	if [ ! -f "$dir/ldap.password" ]; then
		say "creating an LDAP directory in $etc"
		rm -rf "$etc"
		as_owner install -d -m 700 "$etc" "$etc/data"
		as_owner openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=localhost \
			-addext subjectAltName=IP:127.0.0.1 -keyout "$etc/key.pem" -out "$etc/ca.pem" 2>/dev/null
		secret | put "$etc/password"
		put "$etc/slapd.conf" <<-CONF
			include /etc/ldap/schema/core.schema
			include /etc/ldap/schema/cosine.schema
			include /etc/ldap/schema/inetorgperson.schema
			pidfile $etc/slapd.pid
			modulepath /usr/lib/ldap
			moduleload back_mdb
			allow bind_anon_cred bind_anon_dn
			TLSCertificateFile $etc/ca.pem
			TLSCertificateKeyFile $etc/key.pem
			database mdb
			maxsize 268435456
			suffix dc=usher,dc=test
			rootdn cn=admin,dc=usher,dc=test
			rootpw $(cat "$etc/password")
			directory $etc/data
			dbnosync
			access to attrs=userPassword by anonymous auth by * none
			access to dn.subtree=ou=open,dc=usher,dc=test by * read
			access to * by users read by anonymous auth
		CONF
		printf '%s\n' 'dn: dc=usher,dc=test' 'objectClass: dcObject' 'objectClass: organization' 'dc: usher' 'o: Usher' '' \
			'dn: ou=open,dc=usher,dc=test' 'objectClass: organizationalUnit' 'ou: open' |
			as_owner /usr/sbin/slapadd -f "$etc/slapd.conf" >/dev/null 2>&1 || { say "slapadd failed"; exit 1; }
		cat "$etc/password" | put "$dir/ldap.password"
	fi
	if ! ldap_alive; then
		port=$(free_port 63890)
		secure=$(free_port $((port + 1)))
		echo "ldap://127.0.0.1:$port" | tr -d '\n' | put "$dir/ldap.url"
		echo "ldaps://127.0.0.1:$secure" | tr -d '\n' | put "$dir/ldaps.url"
		as_owner /usr/sbin/slapd -f "$etc/slapd.conf" -h "ldap://127.0.0.1:$port ldaps://127.0.0.1:$secure" >&2 || true
		local try
		for try in $(seq 50); do ldap_alive && break; sleep 0.1; done
		ldap_alive || { say "slapd does not start: try /usr/sbin/slapd -d 1 -f $etc/slapd.conf"; exit 1; }
		say "OpenLDAP listens on 127.0.0.1:$port"
	fi
	echo "export USHER_TEST_LDAP_URL='$(cat "$dir/ldap.url")'"
	echo "export USHER_TEST_LDAPS_URL='$(cat "$dir/ldaps.url")'"
	echo "export USHER_TEST_LDAP_PASSWORD='$(cat "$dir/ldap.password")'"
	echo "export USHER_TEST_LDAP_CA='$(as_owner base64 -w0 "$etc/ca.pem")'"
}

find_program() { # $1 variable, $2 program
	local path=${!1:-}
	[ -n "$path" ] || path=$(command -v "$2") || { missing "$2"; return 0; }
	echo "export $1='$path'"
}

stop() {
	local bin
	bin=$(pg_bin)
	if [ -n "$bin" ] && as_owner "$bin/pg_ctl" -D "$dir/postgres" status >/dev/null 2>&1; then
		as_owner "$bin/pg_ctl" -D "$dir/postgres" -m fast stop >&2
	fi
	if redis_alive; then
		redis-cli -u "$(cat "$dir/redis.url")" --no-auth-warning shutdown nosave >&2 || true
	fi
	if ldap_alive; then
		as_owner kill "$(cat "$dir/ldap/slapd.pid")"
	fi
}

start() {
	install_missing
	if [ -n "${USHER_TEST_POSTGRES_URL:-}" ]; then
		echo "export USHER_TEST_POSTGRES_URL='$USHER_TEST_POSTGRES_URL'"
	else
		start_postgres
	fi
	if [ -n "${USHER_TEST_REDIS_URL:-}" ]; then
		echo "export USHER_TEST_REDIS_URL='$USHER_TEST_REDIS_URL'"
	else
		start_redis
	fi
	if [ -n "${USHER_TEST_LDAP_URL:-}" ]; then
		local name
		for name in URL PASSWORD CA; do name=USHER_TEST_LDAP_$name; echo "export $name='${!name:-}'"; done
		echo "export USHER_TEST_LDAPS_URL='${USHER_TEST_LDAPS_URL:-}'"
	else
		start_ldap
	fi
	find_program USHER_TEST_PROMETHEUS prometheus
	find_program USHER_TEST_PROMTOOL promtool
	find_program USHER_TEST_CHROMIUM chromium
}

cd / # the owner may not be able to read where we are
case ${1:-start} in
start) # one at a time; what it starts must not inherit the lock
	exec 9>>"${TMPDIR:-/tmp}/usher-test-services.$(id -u).lock"
	flock 9
	start 9>&-
	;;
stop) stop ;;
*)
	say "usage: services.sh [start|stop]"
	exit 2
	;;
esac
