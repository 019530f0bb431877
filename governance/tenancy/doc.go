// Package tenancy owns the tenants and their options: the multi-tenancy side of the paper's Governance capability.
//
// A tenant is a realm with its own users, devices, data and options; the tenant management administers the others. Options are
// key-value pairs in categories; keys that start with "credentials." are secrets and are never returned in clear.
// It is the only package that may look across tenants, and it never touches what other components own.
package tenancy
