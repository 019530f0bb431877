package iot

import "context"

// Action is what happened to a document.
type Action string

// The actions that are published.
const (
	Created Action = "CREATE"
	Updated Action = "UPDATE"
	Deleted Action = "DELETE"
)

// Kind names a kind of document in history, audit and on the bus.
type Kind string

// The kinds of documents.
const (
	KindManagedObject Kind = "managedobject"
	KindExternalID    Kind = "externalid"
	KindRelation      Kind = "relation"
	KindMeasurement   Kind = "measurement"
	KindEvent         Kind = "event"
	KindAlarm         Kind = "alarm"
	KindOperation     Kind = "operation"
	KindBulkOperation Kind = "bulkoperation"
	KindUser          Kind = "user"
	KindGroup         Kind = "group"
	KindInventoryRole Kind = "inventoryrole"
	KindTenant        Kind = "tenant"
	KindOption        Kind = "option"
	KindRegistration  Kind = "registration"
	KindAnchor        Kind = "trustanchor"
	KindSubscription  Kind = "notificationsubscription"
	KindTopicRules    Kind = "topicrules"
	KindAudit         Kind = "audit"
	KindApplication   Kind = "application"
	KindRetentionRule Kind = "retentionrule"
)

// ProcessingMode says how far a write goes. Rules learn of it in every mode.
type ProcessingMode uint8

// The processing modes of a write.
const (
	// Persistent stores and tells subscribers.
	Persistent ProcessingMode = iota
	// Transient tells subscribers without storing.
	Transient
	// Quiescent stores without telling subscribers.
	Quiescent
	// CEP does neither: only rules learn of it.
	CEP
)

// Stores reports whether what is written in this mode is stored.
func (m ProcessingMode) Stores() bool { return m == Persistent || m == Quiescent }

// Live reports whether subscribers are told of what is written in this mode.
func (m ProcessingMode) Live() bool { return m == Persistent || m == Transient }

// Lasting is the mode for a write that means nothing unless it is stored: it stores, and tells subscribers if m does.
func (m ProcessingMode) Lasting() ProcessingMode {
	if m.Live() {
		return Persistent
	}
	return Quiescent
}

type modeKey struct{}

// WithMode gives the writes that are made under a context their processing mode.
func WithMode(ctx context.Context, m ProcessingMode) context.Context {
	return context.WithValue(ctx, modeKey{}, m)
}

// ModeOf returns the processing mode of the writes under a context, Persistent unless WithMode said otherwise.
func ModeOf(ctx context.Context) ProcessingMode {
	m, _ := ctx.Value(modeKey{}).(ProcessingMode)
	return m
}
