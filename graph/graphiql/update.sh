#!/bin/sh
# Fetches GraphiQL and what it stands on from npm, whole, so that the page needs
# no network: graph/graphiql/update.sh. npm checks the integrity of what it gets.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for p in graphiql@3.8.3 react@18.3.1 react-dom@18.3.1; do
	tgz=$(cd "$tmp" && npm pack --silent "$p")
	mkdir "$tmp/${p%@*}"
	tar -xzf "$tmp/$tgz" -C "$tmp/${p%@*}" --strip-components=1
done
cp "$tmp/graphiql/LICENSE" LICENSE.graphiql
cp "$tmp/react/LICENSE" LICENSE.react
for f in graphiql/graphiql.min.js graphiql/graphiql.min.css react/umd/react.production.min.js react-dom/umd/react-dom.production.min.js; do
	gzip -9 -n -c "$tmp/$f" >"$(basename "$f").gz"
done
