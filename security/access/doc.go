// Package access decides who somebody is and what they may do: the Identity & Access Management part of the paper's Security capability,
// with the realms, users, user groups (global roles), permissions and ownership of the access model.
//
// It owns the users and groups of every tenant, their credentials, the sessions (tokens) and every decision. All ways to log in end in one
// iot.Principal made here by Users; every decision is made here by Policy, called by the faces of components and never by wire handlers.
// Policy also filters lists: Scope becomes a condition inside the query, so that pages are full and counts are right.
//
// A principal passes if any layer grants: a global permission, or ownership of the object (of the source, for data about an object).
// The fragment c8y_Global lets every user of the tenant read that object. Permissions add up; there are no deny rules.
//
// It never reads the documents of other components except, inside SQL, the owner of a managed object.
package access
