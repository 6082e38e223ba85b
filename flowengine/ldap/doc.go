// Package ldap proves users by the directories of their tenant (RFC 4511), with
// the help of github.com/go-ldap/ldap: it searches for one entry by the name
// that a user gave, and binds as that entry with the password that they gave.
// It says which configurations can't work ([Check]).
//
// It owns the connection with its bounds in time and number and its TLS, the
// filter made from a tenant's template, in which the name is escaped whatever
// the template does with it, what a directory's answers mean, and the family
// usher_ldap_binds_total. Referrals are not followed.
//
// It does not own what a user of a directory is here and how often passwords may
// be tried (flowengine/flow), whom a directory is searched as (secrets, in
// tenant.Store), or which addresses may be reached (flowengine/outbound).
package ldap
