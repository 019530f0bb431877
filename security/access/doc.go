// Package access decides who somebody is and what they may do: the Identity & Access Management part of the paper's Security capability,
// with the realms, users, user groups (global roles), inventory roles, permissions and ownership of the access model.
//
// It owns the users, global roles and inventory roles of every tenant, their credentials and second factors, the sessions (tokens) and every
// decision. All ways to log in end in one iot.Principal made here by Users; every decision is made here by Policy, called by the faces of
// components and never by wire handlers.
//
// # Decisions
//
// A request passes if any layer grants it (decide): a permission that holds everywhere; ownership of the object, or of the source of data;
// the fragment c8y_Global, for reading that object; or a grant on single objects. Layers add up, there are no deny rules.
//
// Grants (iot.Grant) come from inventory roles, which hold for the object that they were assigned on and for all below it, and from device
// permissions, which hold for one object. A grant names a kind of data, a level (READ; ADMIN, which does not include READ; or both) and a
// fragment: a document is in reach only if grants cover all of its custom fragments together.
//
// Policy knows no store. Who asks gives it what it needs in an Object: owner, the ids above, the fragments; registry.Check does. That keeps
// the rule in one short function, which Explain, WhoMay and WhatIf call as well: what they say is what happens.
//
// # Lists
//
// Scope is the rule as a condition inside a query, so that pages are full and counts are right. Inheritance is a look-up in object_above, an
// index of all pairs of an object and one above it that the registry keeps. The conformance suites of the registry hold lists to decide,
// for random people, objects and queries.
//
// It never reads the documents of other components except, inside SQL, owners and fragments of managed objects and who is above whom.
package access
