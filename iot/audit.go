package iot

import "time"

// AuditRecord says who did what to what. Records are written once and never changed.
type AuditRecord struct {
	ID           ID
	Type         string // what it is about: Alarm, Inventory, Operation, User, UserAuthentication, ...
	Activity     string // what happened, short: "User login"
	Text         string
	User         UserName
	Application  string
	Source       ID // the managed object, zero if none
	Severity     string
	Time         time.Time
	CreationTime time.Time
	Changes      []AttributeChange
	Fragments    Doc
}

// AttributeChange is one attribute before and after.
type AttributeChange struct {
	Attribute string `json:"attribute"`
	Type      string `json:"type,omitempty"`
	Previous  string `json:"previousValue,omitempty"`
	New       string `json:"newValue,omitempty"`
}
