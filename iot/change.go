package iot

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

// ProcessingMode says how far a write goes.
type ProcessingMode uint8

// The processing modes of a write.
const (
	// Persistent stores and publishes.
	Persistent ProcessingMode = iota
	// Transient publishes without storing (measurements and events only).
	Transient
	// Quiescent stores without publishing.
	Quiescent
	// CEP stores and publishes to rules only.
	CEP
)
