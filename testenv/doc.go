// Package testenv gives tests a real database, Redis, directory or browser of
// their own: SQLite in a temporary directory, a fresh PostgreSQL database, a
// leased Redis database, a part of an OpenLDAP server, a headless Chromium with
// an empty profile, and the published clients of other systems (clients/) with a
// Node.js to run them.
//
// It owns where they come from (USHER_TEST_POSTGRES_URL, a superuser's URL,
// USHER_TEST_REDIS_URL, USHER_TEST_LDAP_URL and its companions, and
// USHER_TEST_CHROMIUM, a program; scripts/services.sh sees to them) and that they
// are gone after the test. Where one is missing the test is skipped, and with
// CI=true it fails, so that no build passes for want of a service.
//
// It does not own the schema (migrations) and knows nothing of the store.
package testenv
