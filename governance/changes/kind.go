package changes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Change is one change of one document.
type Change struct {
	Kind          iot.Kind
	ID            string // of the document, in the form of its kind
	Object, Peer  iot.ID // the managed object that the document is or belongs to, and a second one; zero: none
	Action        iot.Action
	At            time.Time
	By            string
	Before, After json.RawMessage // the document as its kind keeps it; nil: there was none
	Withheld      bool            // before and after are not shown, because the reader may not see them
}

// Decode reads a document of a change; nil if there was none.
func Decode[D any](raw json.RawMessage) (*D, error) {
	if raw == nil {
		return nil, nil
	}
	d := new(D)
	return d, json.Unmarshal(raw, d)
}

// Versions reads the documents before and after a change; nil where there was none.
func Versions[D any](c Change) (before, after *D, err error) {
	if before, err = Decode[D](c.Before); err == nil {
		after, err = Decode[D](c.After)
	}
	return before, after, err
}

// Apply makes a change, for Documents.Restore: remove takes a document away, put stores one in the place of another one, or of none, and returns it as it is stored.
func Apply[D any](c *Change, remove func(D) error, put func(before *D, next D) (D, error)) error {
	before, next, err := Versions[D](*c)
	if err != nil {
		return err
	}
	if next == nil {
		return remove(*before)
	}
	stored, err := put(before, *next)
	if err == nil {
		c.After, err = json.Marshal(stored)
	}
	return err
}

// Conflict is why a change cannot be taken back.
type Conflict struct {
	Kind   iot.Kind
	ID     string
	Reason string
	Set    string // the later change set, if that is why
	By     string
	At     time.Time
}

// ConflictError is in the error of an undo that was refused because of what is or happened since.
type ConflictError struct{ Conflicts []Conflict }

// nouns are what people call the kinds whose names are not words.
var nouns = strings.NewReplacer(string(iot.KindManagedObject), "object")

// Error names the first few conflicts.
func (e *ConflictError) Error() string {
	const shown = 10
	var parts []string
	for i, c := range e.Conflicts {
		if i == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.Conflicts)-shown))
			break
		}
		text := nouns.Replace(string(c.Kind)) + " " + c.ID + ": " + c.Reason
		if c.Set != "" {
			text += " by change set " + c.Set
		}
		parts = append(parts, text)
	}
	return "the change set cannot be taken back: " + strings.Join(parts, "; ")
}

// Table says where the current versions of a kind are, and how they are told from superseded ones: SQL over the table with the alias m. Superseded
// versions are in the table history, with the alias h, the kind's name, and the same id, object and peer.
type Table struct {
	Name         string // of the table
	ID           string // of the document, as text
	Object, Peer string // ids of managed objects; empty: none
	Updated      string // when the current version came into being
	Born         string // a column that is equal to Updated in all documents that Births selects and that were never changed, for which there is an index; empty: Updated
	// Births is the condition that the first version of a document counts as a change; empty: always. False leaves out all but those that an undo brought
	// back: for what comes in by itself all the time.
	Births string
	// Alive is the condition on h that the document still exists, for who does not see all. Empty: it is gone with its managed object.
	Alive string
	// ByPeer says that Peer, not Object, decides who sees a change.
	ByPeer bool
}

// Document is the current version of a document.
type Document struct {
	Raw          json.RawMessage
	Object, Peer iot.ID
	Rev          sqlkit.Revision
}

// Documents is the half of a kind that the driver of its component implements.
type Documents interface {
	// Table says where the documents are.
	Table() Table
	// Lock takes what keeps those of a tenant from being changed elsewhere in a way that locked rows do not, before anything is read.
	Lock(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID) error
	// Current returns a document as it is, nil if there is none, inside a transaction and locked if tx is one.
	Current(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, id string) (*Document, error)
	// Hindrance returns why a change cannot be made, nil if it can as far as is known. all are the changes that will be made with it.
	Hindrance(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c Change, all []Change) (*Conflict, error)
	// Restore makes a change: it puts c.After in the place of c.Before, deletes if there is no c.After, creates if there is no c.Before, and leaves notes of it.
	// It sets c.After to what is stored. What turns out to be impossible only now is a ConflictError.
	Restore(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c *Change, rev sqlkit.Revision) error
	// Restored is called after a transaction in which Restore may have been called, whether it was kept or not.
	Restored(t iot.TenantID)
}

// Kind is how a kind of documents takes part in the change log. All methods may be called at once from several goroutines.
type Kind interface {
	// Name is unique. It is also that of its rows in the table history.
	Name() iot.Kind
	Documents() Documents
	// Scope returns of which managed objects p may see the changes; a fault of kind Denied: of none.
	Scope(ctx context.Context, p iot.Principal) (access.Scope, error)
	// Show takes from a change in scope what p may not see.
	Show(ctx context.Context, p iot.Principal, c *Change) error
	// Judge returns what decides whether p may make changes of this kind that take back some that p sees. That is asked inside a transaction and must not call
	// a store: Judge reads what it needs to know. seen holds changes of all kinds.
	Judge(ctx context.Context, p iot.Principal, seen []Change) (func(Change) error, error)
	// Announce publishes and audits what an undo of a set did to documents of this kind.
	Announce(ctx context.Context, p iot.Principal, set string, done []Change)
}

// Unhindered is for drivers of documents that stand alone: they lock their rows only, and a change of one asks for nothing else.
type Unhindered struct{}

// Lock implements Documents.
func (Unhindered) Lock(context.Context, *sqlkit.Tx, iot.TenantID) error { return nil }

// Hindrance implements Documents.
func (Unhindered) Hindrance(context.Context, *sqlkit.Tx, iot.TenantID, Change, []Change) (*Conflict, error) {
	return nil, nil
}

// Restored implements Documents.
func (Unhindered) Restored(iot.TenantID) {}
