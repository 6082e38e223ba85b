// Package authflows is the door for records of runs, in the dialect of
// Prefactor's "Fetch authflow" (testdata/prefactor-fetch-authflow.txt). Support
// tools and back ends call it with an API key of the tenant:
//
//	GET  /api/v1/authflow/{authflow_id}           one record
//	GET  /api/v1/authflow                         the newest first, narrowed and paged
//	POST /api/v1/authflow/{authflow_id}/cancel    give a run up
//	GET  /api/v1/authflow/{authflow_id}/timeline  what happened in it
//
// It owns the dialect: the names of keys, the codes of errors, and the ids by
// which accounts, domains, pools, devices, sessions and users are known there
// (ids.go). It does not own what a run is (flowengine), who may look at one
// (flowengine/admin), or how a request is read (surface).
package authflows
