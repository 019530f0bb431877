// Package audit keeps who did what: the audit part of the paper's Security (and Governance) capability.
//
// It owns the audit records of every tenant. Records are written once, through Log, by the faces of components and by applications,
// and are never changed or deleted. It never decides anything. Reading needs ROLE_AUDIT_READ, writing through the API ROLE_AUDIT_ADMIN
// or ownership of the object that the record is about.
package audit
